"""Masks of any tool are scored like predictions; files of another folder are found by their names."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from drawn import write_discs, write_touching_squares
from uvala.api.masks import evaluate_masks, evaluate_path
from uvala.api.paired import holds_masks
from uvala.errors import DataError, MaskError, RunError, SplitError


@pytest.fixture
def data(tmp_path):
    return write_discs(tmp_path / "data", count=4, size=(40, 48))


def masks_of(data, folder, change=lambda mask: mask, name=lambda stem: f"{stem}.png"):
    """A tool's masks: the true ones, changed, under other names."""
    for path in sorted((data / "masks").iterdir()):
        target = folder / name(path.stem)
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(change(np.array(Image.open(path)))).save(target)
    return folder


class TestPairing:
    """A mask belongs to the image of its name."""

    @pytest.mark.parametrize(
        "name", ["{}.png", "{}.tif", "{}_mask.png", "sub/{}.png", "{}_pred.png"], ids=str
    )
    def test_names_may_differ_in_ending_folder_and_words(self, data, tmp_path, name):
        masks = masks_of(data, tmp_path / "masks", name=lambda stem: name.format(stem))
        if "pred" in name:
            with pytest.raises(DataError, match=r"no file for 4 images: 00\.png, 01\.png"):
                evaluate_masks(masks, data)
        else:
            assert evaluate_masks(masks, data).scores.mean_dice == 1

    def test_all_missing_files_are_named_at_once(self, data, tmp_path):
        masks = masks_of(data, tmp_path / "masks")
        for name in ("01.png", "03.png"):
            (masks / name).unlink()
        with pytest.raises(DataError, match=r"no file for 2 images: 01\.png, 03\.png"):
            evaluate_masks(masks, data)

    def test_all_files_of_another_size_are_named_at_once(self, data, tmp_path):
        masks = masks_of(data, tmp_path / "masks")
        for name in ("00.png", "02.png"):
            Image.new("L", (10, 20)).save(masks / name)
        with pytest.raises(DataError, match=r"00\.png \(10x20 for 48x40\), 02\.png \(10x20 for 48x40\)"):
            evaluate_masks(masks, data)

    def test_files_that_no_image_needs_are_no_matter(self, data, tmp_path):
        masks = masks_of(data, tmp_path / "masks")
        Image.new("L", (10, 20)).save(masks / "readme.png")
        assert evaluate_masks(masks, data).scores.mean_dice == 1


class TestScores:
    """They are those that predictions would have."""

    def test_a_wrong_mask_costs(self, data, tmp_path):
        masks = masks_of(data, tmp_path / "masks", change=lambda mask: 255 - mask)
        scores = evaluate_masks(masks, data).scores
        assert scores.mean_dice == 0
        assert scores.probabilities is None

    def test_values_that_mean_nothing_are_refused_by_name(self, data, tmp_path):
        masks = masks_of(data, tmp_path / "masks", change=lambda mask: mask // 2)
        with pytest.raises(MaskError, match=r"00\.png: values 127"):
            evaluate_masks(masks, data)

    def test_numbered_objects_are_compared_one_by_one(self, data, tmp_path):
        for path in (data / "masks").iterdir():
            labels = ndimage.label(np.array(Image.open(path)))[0]
            Image.fromarray(labels.astype(np.uint16)).save(path)
        (data / "dataset.toml").write_text('task = "instances"')
        masks = masks_of(data, tmp_path / "masks", change=lambda mask: np.where(mask == 2, 1, mask))
        scores = evaluate_masks(masks, data).scores
        assert scores.task == "instances"
        joined = sum((np.array(Image.open(path)) == 2).any() for path in (data / "masks").iterdir())
        assert scores.objects.predicted_objects == scores.objects.true_objects - joined
        assert scores.classes[1].dice == 1

    def test_nothing_is_written(self, data, tmp_path):
        masks = masks_of(data, tmp_path / "masks")
        before = sorted(tmp_path.rglob("*"))
        assert evaluate_masks(masks, data).default_folder is None
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_folder_gets_scores_images_and_page_if_one_is_named(self, data, tmp_path):
        evaluation = evaluate_masks(masks_of(data, tmp_path / "masks"), data)
        files = evaluation.write(tmp_path / "out")
        assert [path.name for path in files] == ["scores.json", "scores.csv", "report.html"]
        assert "00.png" in files[2].read_text()


class TestSubset:
    """Without a run, the data set says what is test."""

    def test_all_of_it_where_it_has_no_split(self, data, tmp_path):
        scores = evaluate_masks(masks_of(data, tmp_path / "masks"), data).scores
        assert (scores.subset, len(scores.images)) == ("all", 4)

    def test_the_test_images_of_a_split(self, data, tmp_path):
        (data / "split.json").write_text('{"train": ["00.png", "01.png"], "test": ["02.png", "03.png"]}')
        scores = evaluate_masks(masks_of(data, tmp_path / "masks"), data).scores
        assert (scores.subset, len(scores.images)) == ("test", 2)

    def test_a_subset_that_is_not_there(self, data, tmp_path):
        with pytest.raises(SplitError, match="the data set has no split"):
            evaluate_masks(masks_of(data, tmp_path / "masks"), data, subset="val")


class TestWhatAFolderIs:
    """A run, masks, or neither."""

    def test_masks(self, data, tmp_path):
        assert holds_masks(masks_of(data, tmp_path / "masks"))
        assert holds_masks(data / "masks")

    def test_a_run_is_no_folder_of_masks(self, disc_run):
        assert not holds_masks(disc_run.path)
        assert not holds_masks(disc_run.path.parent)

    def test_a_data_set_is_no_folder_of_masks(self, data):
        assert not holds_masks(data)
        with pytest.raises(RunError, match=r"which has no card\.json"):
            evaluate_path(data, data)

    def test_an_empty_folder_is_none(self, tmp_path):
        assert not holds_masks(tmp_path)
        assert not holds_masks(tmp_path / "none")


class TestRegion:
    """Pixels outside the field of view count nowhere."""

    def regions(self, data, folder):
        folder.mkdir()
        for path in (data / "images").iterdir():
            region = np.zeros((40, 48), np.uint8)
            region[:, 24:] = 7
            Image.fromarray(region).save(folder / f"{path.stem}_mask.png")
        return folder

    def test_the_right_half_alone_is_scored(self, data, tmp_path):
        def spoil(mask):
            mask = mask.copy()
            mask[:, :24] = 255 - mask[:, :24]
            return mask

        masks = masks_of(data, tmp_path / "masks", change=spoil)
        scores = evaluate_masks(masks, data, region=self.regions(data, tmp_path / "regions")).scores
        assert scores.mean_dice == 1
        assert {image.pixels for image in scores.images} == {40 * 24}

    def test_pictures_say_what_the_scores_say(self, data, tmp_path):
        """What is wrong in the left half only is no error of the picture either."""

        def spoil(mask):
            mask = mask.copy()
            mask[:, :24] = 255 - mask[:, :24]
            return mask

        masks = masks_of(data, tmp_path / "masks", change=spoil)
        files = evaluate_masks(masks, data, region=self.regions(data, tmp_path / "regions")).write(
            tmp_path / "out"
        )
        page = files[2].read_text()
        assert page.count("<p>Every pixel is right.</p>") == page.count("<article") > 0

    def test_objects_outside_are_not_missed_in_a_picture(self, data, tmp_path):
        for path in (data / "masks").iterdir():
            labels = np.zeros((40, 48), np.uint16)
            labels[5:12, 5:12], labels[20:30, 30:40] = 1, 2
            Image.fromarray(labels).save(path)
        (data / "dataset.toml").write_text('task = "instances"')
        masks = masks_of(data, tmp_path / "masks", change=lambda mask: mask * (mask == 2).astype(np.uint16))
        evaluation = evaluate_masks(masks, data, region=self.regions(data, tmp_path / "regions"))
        assert evaluation.scores.objects.missed == 0
        page = evaluation.write(tmp_path / "out")[2].read_text()
        assert "1 true object, and none missed, spurious, split or merged." in page
        assert "1 missed" not in page

    def test_a_missing_one_is_named(self, data, tmp_path):
        regions = self.regions(data, tmp_path / "regions")
        (regions / "02_mask.png").unlink()
        with pytest.raises(DataError, match=r"fields of view in .* with no file for 1 image: 02\.png"):
            evaluate_masks(shutil.copytree(data / "masks", tmp_path / "masks"), data, region=regions)

    def test_a_folder_that_is_not_there_is_named(self, data, tmp_path):
        with pytest.raises(DataError, match=r"no folder .*none; expected a folder of fields of view"):
            evaluate_masks(data / "masks", data, region=tmp_path / "none")

    def test_one_that_is_0_everywhere_is_refused(self, data, tmp_path):
        regions = self.regions(data, tmp_path / "regions")
        Image.new("L", (48, 40)).save(regions / "00_mask.png")
        with pytest.raises(MaskError, match="which is 0 everywhere"):
            evaluate_masks(shutil.copytree(data / "masks", tmp_path / "masks"), data, region=regions)


def test_masks_that_number_nothing_are_taken_apart_into_what_hangs_together(tmp_path):
    data = write_touching_squares(tmp_path / "data")
    masks = tmp_path / "masks"
    masks.mkdir()
    for path in (data / "masks").iterdir():
        foreground = np.array(Image.open(path)) > 0
        Image.fromarray((255 * foreground).astype(np.uint8)).save(masks / path.name)
    scores = evaluate_masks(masks, data, subset="all").scores
    assert scores.objects.predicted_objects == 2 * len(scores.images)  # two squares touch, one is alone
    assert scores.objects.ap[0] > 0
    assert "number no objects" in scores.objects.method
