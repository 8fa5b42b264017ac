"""Which images are scored, and that none of them was trained on."""

import json
import shutil

import numpy as np
import pytest

from drawn import write_discs
from uvala.errors import SplitError


def scored(run, data, **options):
    return {image.name for image in run.evaluate(data, **options).images}


class TestTestSubset:
    """P10: what is called test was never trained on, however the folder has changed since."""

    def test_is_what_was_neither_trained_on_nor_validated_with(self, disc_run, disc_data, tmp_path):
        data = shutil.copytree(disc_data, tmp_path / "data")
        for number, old in enumerate(sorted((data / "images").iterdir())[:2]):
            for folder in ("images", "masks"):
                shutil.copy(data / folder / old.name, data / folder / f"copy{number}.png")
        extra = write_discs(tmp_path / "extra", count=2, size=(40, 40))
        for folder in ("images", "masks"):
            shutil.copy(extra / folder / "00.png", data / folder / "new.png")
        # the copies have other names, and are known all the same by what they show
        assert scored(disc_run, data) == {"new.png"}

    def test_a_lost_training_image_does_not_turn_the_others_into_test_images(
        self, disc_run, disc_data, tmp_path
    ):
        data = shutil.copytree(disc_data, tmp_path / "data")
        lost = disc_run.folder.split.train[0]
        (data / "images" / lost).unlink()
        (data / "masks" / lost).unlink()
        with pytest.raises(SplitError, match="no image of the subset 'test'"):
            disc_run.evaluate(data)
        assert scored(disc_run, data, subset="train") == set(disc_run.folder.split.train) - {lost}

    def test_of_other_data_with_the_same_names_is_all_of_it(self, disc_run, tmp_path):
        other = write_discs(tmp_path / "other", count=3, size=(30, 50))
        assert scored(disc_run, other) == {"00.png", "01.png", "02.png"}

    def test_of_a_folder_that_has_nothing_but_a_test_set(self, disc_run, tmp_path):
        other = write_discs(tmp_path / "data" / "test", count=2, size=(30, 50))
        assert len(scored(disc_run, other.parent)) == 2


def test_a_file_may_name_a_test_set_alone(disc_run, disc_data, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"test": ["03", "05.png"]}))
    assert scored(disc_run, disc_data, split=tmp_path / "split.json") == {"03.png", "05.png"}


def test_an_unknown_subset_suggests_the_nearest(disc_run, disc_data):
    with pytest.raises(SplitError, match="did you mean 'train'"):
        disc_run.evaluate(disc_data, subset="trian")


def test_scores_agree_with_predictions(disc_run, disc_data):
    import uvala

    dataset = uvala.read_dataset(disc_data)
    right, pixels = 0, 0
    for sample in dataset.samples:
        predicted = disc_run.predict(dataset.image(sample)[0]).mask
        right += int(np.sum(predicted == dataset.classes(sample)))
        pixels += predicted.size
    assert disc_run.evaluate(disc_data, subset="all").accuracy == pytest.approx(right / pixels)
