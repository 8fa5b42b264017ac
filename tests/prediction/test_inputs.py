"""Names of results that would lie where other files belong."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from trainings import train_quickly
from uvala.api.predicting import predict_paths
from uvala.errors import DataError
from uvala.prediction.inputs import RESULT_FOLDERS, find_inputs
from uvala.prediction.wanted import Wanted


@pytest.fixture
def images(tmp_path, monkeypatch) -> Path:
    """An image, and others in folders called as those of results, one of them on some disks only."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "overlays/a", "overlays/b", "Objects/c", "deeper/overlays/d"):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (48, 32)).save(path)
    return tmp_path / "images"


def targets(**options):
    return {target.as_posix() for _, target in find_inputs(["images"], **options)}


def test_no_mask_lies_where_other_results_do(images):
    expected = {"a", "overlays_/a", "overlays_/b", "Objects_/c", "deeper/overlays/d"}
    assert targets(taken=RESULT_FOLDERS) == expected


def test_folders_keep_their_names_where_nothing_else_is_written(images):
    assert targets() == {"a", "overlays/a", "overlays/b", "Objects/c", "deeper/overlays/d"}


def test_a_folder_of_the_other_name_stays_apart(images):
    (images / "overlays_").mkdir()
    Image.new("L", (48, 32)).save(images / "overlays_/a.png")
    found = find_inputs(["images"], taken=RESULT_FOLDERS)
    assert len({target for _, target in found}) == len(found) == 6


def test_each_file_that_a_prediction_writes_is_of_one_image(images, disc_run):
    wanted = Wanted(overlays=True, probabilities=True, uncertainty=True, objects=("csv",))
    outputs, failures = predict_paths(disc_run.predictor, ["images"], "out", wanted)
    assert not failures
    masks, overlays = {output.mask for output in outputs}, set(Path("out/overlays").rglob("*.png"))
    assert (len(masks), len(overlays)) == (5, 5)
    assert masks.isdisjoint(overlays)


class TestImagesOfOneName:
    """Whatever the folders are, each has results of its own, and none is missing in the list of objects."""

    def listed(self, run, inputs):
        predict_paths(run.predictor, inputs, "out", Wanted(objects=("coco",)))
        images = json.loads(Path("out/objects/coco.json").read_text())["images"]
        return {(each["result"], each["file_name"]) for each in images}

    @pytest.fixture
    def case(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        def write(name: str) -> Path:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (48, 32)).save(path)
            return path

        return write

    def test_that_are_links_into_one_store_keep_the_folders_of_the_links(self, case, disc_run):
        for folder, name in (("A", "a"), ("B", "b")):
            Path(folder).mkdir()
            Path(folder, "x.png").symlink_to(case(f"store/{name}.png"))
        assert self.listed(disc_run, ["A", "B"]) == {("A/x", "A/x.png"), ("B/x", "B/x.png")}

    def test_of_which_one_lies_where_the_others_are_told_apart(self, case, disc_run):
        for name in ("P/a/x.png", "Q/a/x.png", "Q/b/x.png"):
            case(name)
        found = self.listed(disc_run, ["P", "Q/a/x.png", "Q/b/x.png"])
        assert found == {("a/x_png", "a/x.png"), ("a/x_png_2", "a/x.png"), ("b/x", "b/x.png")}

    def test_whose_names_differ_in_the_suffix_alone_keep_their_folder(self, case):
        for name in ("in/x.png", "in/a/x.png", "in/a/x.bmp"):
            case(name)
        found = {target.as_posix() for _, target in find_inputs(["in"])}
        assert found == {"x", "a/x_png", "a/x_bmp"}


class TestPages:
    """Of a file whose pages nothing names, some are images and some the channels of one."""

    @pytest.fixture
    def pages(self, tmp_path) -> Path:
        tifffile.imwrite(tmp_path / "x.tif", np.zeros((5, 32, 48), np.uint8), photometric="minisblack")
        return tmp_path / "x.tif"

    @pytest.mark.parametrize(("channels", "images"), [(None, 5), (5, 1), (3, 5)])
    def test_are_channels_where_there_are_as_many(self, pages, channels, images):
        assert len(find_inputs([pages], channels=channels)) == images

    def test_that_were_channels_of_the_images_trained_on_are_so_of_others(self, tmp_path):
        dice = np.random.default_rng(0)
        for kind in ("images", "masks"):
            (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(6):
            mask = np.zeros((40, 40), np.uint8)
            mask[8:24, number : number + 16] = 255
            planes = np.stack([mask, 255 - mask, mask]) // 2 + dice.integers(0, 50, (3, 40, 40), np.uint8)
            path = tmp_path / f"data/images/{number}.tif"
            tifffile.imwrite(path, planes, photometric="minisblack")
            Image.fromarray(mask).save(tmp_path / f"data/masks/{number}.png")
        run = train_quickly(tmp_path / "data", tmp_path / "run", steps=1)
        outputs, failures = predict_paths(
            run.predictor, [tmp_path / "data/images"], tmp_path / "out", Wanted()
        )
        assert run.card.data.pages_as_channels
        assert (len(outputs), failures) == (6, [])


def test_predictions_are_no_images_however_their_folder_is_written(images, monkeypatch):
    (images / "out").mkdir()
    Image.new("L", (48, 32)).save(images / "out/mask.png")
    expected = targets(outside=images / "out")
    assert not any("mask" in each for each in expected)
    assert targets(outside=Path("images/deeper/../out")) == expected
    Path("link").symlink_to(images)
    assert targets(outside=Path("link/out")) == expected


@pytest.mark.parametrize("pattern", ["*.zarr", "data/*.zarr"])
def test_a_pattern_may_name_zarr_images(tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    zarr.create_array(str(Path(pattern).parent / "a.zarr"), shape=(32, 48), chunks=(32, 48), dtype="uint8")
    ((source, target),) = find_inputs([pattern])
    assert (source.path.name, target) == ("a.zarr", Path("a"))


def test_what_was_predicted_before_is_no_image(images):
    (images / "deeper" / "predictions.jsonl").touch()
    found = {source.path.relative_to(images).as_posix() for source, _ in find_inputs([images])}
    assert found == {"a.png", "overlays/a.png", "overlays/b.png", "Objects/c.png"}
    named = find_inputs([images / "deeper"])
    assert [source.path.name for source, _ in named] == ["d.png"]


@pytest.mark.parametrize("named", [True, False])
def test_a_link_to_nothing_is_told(images, disc_run, tmp_path, named):
    link = images / "b.png"
    link.symlink_to("/nowhere/b.png")
    done, failed = predict_paths(
        disc_run.predictor, [link if named else images], tmp_path / "out", wanted=Wanted()
    )
    assert len(done) == (0 if named else 5)
    (failure,) = failed
    assert "b.png, a link to /nowhere/b.png, which is not there" in str(failure.error)


def test_half_made_files_are_not_suggested(tmp_path):
    (tmp_path / ".images.part").mkdir()
    with pytest.raises(DataError, match="check the path"):
        find_inputs([tmp_path / "images"])
