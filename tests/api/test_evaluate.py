"""Which images are scored, and that none of them was trained on."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import uvala
from drawn import write_discs
from uvala.errors import ShapeError, SplitError
from uvala.evaluation.scores import Scores


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
    dataset = uvala.read_dataset(disc_data)
    right, pixels = 0, 0
    for sample in dataset.samples:
        predicted = disc_run.predict(dataset.image(sample)[0]).mask
        right += int(np.sum(predicted == dataset.classes(sample)))
        pixels += predicted.size
    assert disc_run.evaluate(disc_data, subset="all").accuracy == pytest.approx(right / pixels)


class TestWhatIsScored:
    """Objects, probabilities and the main measure, as the data ask for them."""

    def test_masks_that_name_classes_are_scored_by_dice(self, disc_run, disc_data):
        scores = disc_run.evaluate(disc_data, subset="all")
        assert (scores.task, scores.main) == ("semantic", "dice")
        assert scores.main_value == scores.mean_dice
        assert scores.probabilities.pixels == sum(image.pixels for image in scores.images)

    def test_another_task_may_be_asked_for(self, disc_run, disc_data):
        scores = disc_run.evaluate(disc_data, subset="all", task="instances")
        assert scores.main == "ap"
        assert scores.objects.from_components
        predicted = sum(
            int(disc_run.predict(uvala.read_dataset(disc_data).image(sample)[0]).objects.max())
            for sample in uvala.read_dataset(disc_data).samples
        )
        assert scores.objects.predicted_objects == predicted

    def test_distances_are_in_the_unit_that_is_given(self, disc_run, disc_data):
        in_pixels, in_um = (
            disc_run.evaluate(disc_data, subset="all", **options)
            for options in ({}, {"spacing": 0.5, "unit": "um"})
        )
        pixels, um = (
            next(each for each in scores.measures if each.name == "hd95/foreground")
            for scores in (in_pixels, in_um)
        )
        assert um.mean == pytest.approx(pixels.mean / 2)
        assert (pixels.unit, um.unit) == ("px", "um")

    def test_images_carry_what_they_are_known_by(self, disc_run, disc_data):
        contents = uvala.read_dataset(disc_data).contents
        images = disc_run.evaluate(disc_data, subset="all").images
        assert {image.name: image.content for image in images} == contents

    def test_pixels_outside_the_field_of_view_do_not_count(self, disc_run, disc_data, tmp_path):
        region = np.zeros((48, 64), np.uint8)
        region[:10] = 255
        for path in (disc_data / "images").iterdir():
            Image.fromarray(region).save(tmp_path / path.name)
        scores = disc_run.evaluate(disc_data, subset="all", region=tmp_path)
        assert {image.pixels for image in scores.images} == {10 * 64}


class TestWhatIsWritten:
    """Nothing, unless a folder is named; what is there is replaced."""

    def test_scores_images_and_page(self, disc_run, disc_data, tmp_path):
        scores = disc_run.evaluate(disc_data, subset="all", out=tmp_path / "out")
        assert Scores.from_json(tmp_path / "out/scores.json") == scores
        assert len((tmp_path / "out/scores.csv").read_text().splitlines()) == 13
        assert "<html" in (tmp_path / "out/report.html").read_text()

    def test_the_next_evaluation_takes_its_place(self, disc_run, disc_data, tmp_path):
        for subset in ("all", "val"):
            disc_run.evaluate(disc_data, subset=subset, out=tmp_path / "out")
        assert Scores.from_json(tmp_path / "out/scores.json").subset == "val"

    def test_the_default_place_names_data_and_subset(self, disc_run, disc_data):
        evaluation = disc_run.evaluation(disc_data, subset="val")
        assert evaluation.default_folder == disc_run.path / "evaluations" / f"{disc_data.name}-val"
        assert not evaluation.default_folder.exists()


class TestTheDefaultPlace:
    """An evaluation takes the place of an earlier one of the same, and of no other."""

    @pytest.fixture
    def run(self, disc_run, tmp_path):
        return uvala.load_run(shutil.copytree(disc_run.path, tmp_path / "run"))

    def written(self, run, data, **options):
        evaluation = run.evaluation(data, subset="all", **options)
        folder = evaluation.default_folder
        evaluation.write(folder)
        return folder.name

    def test_the_same_images_keep_it(self, run, disc_data):
        assert {self.written(run, disc_data) for _ in range(2)} == {"data-all"}

    def test_other_images_in_a_folder_of_that_name_get_their_own(self, run, disc_data, tmp_path):
        others = [write_discs(tmp_path / f"{n}" / "data", count=2 + n, size=(30, 40)) for n in range(2)]
        names = [self.written(run, data) for data in (disc_data, *others, others[0], disc_data)]
        assert names == ["data-all", "data-all-2", "data-all-3", "data-all-2", "data-all"]

    def test_another_task_or_region_gets_its_own(self, run, disc_data, tmp_path):
        region = np.zeros((48, 64), np.uint8)
        region[:10] = 255
        (tmp_path / "regions").mkdir()
        for path in (disc_data / "images").iterdir():
            Image.fromarray(region).save(tmp_path / "regions" / path.name)
        options = [{}, {"settings": {"task": "instances"}}, {"region": tmp_path / "regions"}]
        names = [self.written(run, disc_data, **each) for each in options]
        assert names == ["data-all", "data-all-2", "data-all-3"]

    def test_what_is_no_evaluation_is_left_alone(self, run, disc_data):
        place = run.path / "evaluations" / "data-all"
        place.mkdir(parents=True)
        (place / "scores.json").write_text("{")
        assert self.written(run, disc_data) == "data-all-2"


def test_an_image_of_other_channels_is_named(disc_run, tmp_path):
    folder = write_discs(tmp_path / "data", count=3)
    for path in (folder / "images").iterdir():
        grey = Image.open(path)
        Image.merge("RGB", [grey, grey.rotate(90), grey]).save(path)
    with pytest.raises(ShapeError, match=r"0\d\.png: an image of 3 channels"):
        disc_run.evaluate(folder, subset="all")
