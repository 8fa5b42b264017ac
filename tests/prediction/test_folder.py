import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from drawn import discs
from uvala.api.predicting import predict_paths
from uvala.data.normalise import other_units
from uvala.errors import DataError, UnknownNameError
from uvala.images.lazy import in_memory
from uvala.prediction.folder import Failure, find_inputs, predict_files
from uvala.prediction.wanted import Wanted


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Two cases with an image of the same name each."""
    for case in ("one", "two"):
        (tmp_path / "data" / case).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "data" / case / "image.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def targets(*patterns):
    return [str(target) for _, target in find_inputs(patterns)]


class TestNamesOfResults:
    """No two images share a name for their results."""

    def test_a_folder_keeps_its_sub_folders(self, folder):
        assert targets("data") == ["one/image", "two/image"]

    def test_a_glob_over_folders_keeps_them(self, folder):
        assert targets("data/*/image.png") == ["one/image", "two/image"]

    def test_files_of_one_name_keep_the_folders_that_tell_them_apart(self, folder):
        assert targets("data/one/image.png", "data/two/image.png") == ["one/image", "two/image"]

    def test_formats_of_one_name_keep_their_suffix(self, folder):
        Image.new("L", (4, 4)).save("data/one/image.bmp")
        assert targets("data/one") == ["image_bmp", "image_png"]

    def test_a_name_that_is_taken_already_is_numbered(self, folder):
        for name in ("image.bmp", "image_png.bmp"):
            Image.new("L", (4, 4)).save(f"data/one/{name}")
        assert len(set(targets("data/one"))) == 3

    def test_two_folders_do_not_overwrite_each_other(self, folder):
        assert targets("data/one", "data/two") == ["one/image", "two/image"]

    def test_an_image_named_twice_is_predicted_once(self, folder):
        assert targets("data/one/image.png", "data/one/*.png") == ["image"]

    def test_pages_of_a_stack_are_images(self, folder):
        import tifffile

        tifffile.imwrite("stack.tif", np.zeros((3, 5, 6), np.uint8), photometric="minisblack")
        assert targets("stack.tif") == ["stack_000", "stack_001", "stack_002"]


@pytest.mark.parametrize("pattern", ["data/*.png", "nothing", "dat", "**foo"])
def test_what_matches_nothing_is_refused(folder, pattern):
    with pytest.raises(DataError, match="expected images to predict"):
        find_inputs([pattern])


def test_a_folder_without_images_is_refused(folder):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match="a folder without images"):
        find_inputs(["empty"])


class TestObjects:
    """Objects are written on request, beside the masks."""

    @pytest.fixture
    def outputs(self, disc_run, disc_data, tmp_path):
        (disc_data / "images" / "broken.png").write_bytes(b"no image")
        inputs = find_inputs(
            [*sorted((disc_data / "images").glob("0[0-2].png")), disc_data / "images/broken.png"]
        )
        (disc_data / "images" / "broken.png").unlink()
        kinds = ("labels", "geojson", "csv", "coco")
        return list(predict_files(disc_run.predictor, inputs, tmp_path, wanted=Wanted(objects=kinds)))

    def test_lie_in_a_folder_of_their_own(self, outputs, tmp_path):
        suffixes = sorted(path.suffix for path in (tmp_path / "objects").iterdir())
        assert suffixes == [".csv"] * 3 + [".geojson"] * 3 + [".json"] + [".tif"] * 3

    def test_are_counted(self, outputs, tmp_path):
        tables = [(tmp_path / "objects" / f"0{index}.csv").read_text().splitlines() for index in range(3)]
        assert [output.objects for output in outputs[:3]] == [len(table) - 1 for table in tables]

    def test_what_cannot_be_read_is_passed_over(self, outputs, tmp_path):
        assert isinstance(outputs[3], Failure)
        listed = json.loads((tmp_path / "objects" / "coco.json").read_text())["images"]
        assert [image["file_name"] for image in listed] == ["00.png", "01.png", "02.png"]

    def test_are_not_written_unasked(self, disc_run, disc_data, tmp_path):
        (output,) = predict_files(disc_run.predictor, find_inputs([disc_data / "images/00.png"]), tmp_path)
        assert output.objects is None
        assert not (tmp_path / "objects").exists()

    def test_of_an_unknown_kind_are_refused_before_anything_is_written(self, disc_run, disc_data, tmp_path):
        inputs = find_inputs([disc_data / "images/00.png"])
        with pytest.raises(UnknownNameError, match="did you mean 'labels'"):
            list(predict_files(disc_run.predictor, inputs, tmp_path, wanted=Wanted(objects=("label",))))
        assert not list(tmp_path.iterdir())

    def test_of_pages_are_listed_with_the_page(self, disc_run, tmp_path):
        import tifffile

        tifffile.imwrite(tmp_path / "stack.tif", np.zeros((2, 32, 32), np.uint8), photometric="minisblack")
        list(
            predict_files(
                disc_run.predictor,
                find_inputs([tmp_path / "stack.tif"]),
                tmp_path,
                wanted=Wanted(objects=("coco",)),
            )
        )
        listed = json.loads((tmp_path / "objects" / "coco.json").read_text())["images"]
        assert [image["file_name"] for image in listed] == ["stack.tif#0", "stack.tif#1"]


class TestOtherUnits:
    """An image that was saved with more bits, or scaled to 0 to 1, is predicted, and said to be so."""

    @pytest.fixture
    def notes(self, disc_run, tmp_path):
        image = discs((60, 80), seed=2)[0]
        assert image.dtype == np.uint8
        changed = {
            "as_it_is": image,
            "dark": image // 2,
            "bright": np.clip(image.astype(np.uint16) * 3, 0, 600),
            "one_value": np.full_like(image, 3).astype(np.uint16) * 9999,
            "more_bits": image.astype(np.uint16) * 257,
            "more_bits_too": image.astype(np.int32) * 257,
            "scaled": image.astype(np.float32) / 255,
        }
        folder = tmp_path / "images"
        folder.mkdir()
        for name, array in changed.items():
            tifffile.imwrite(folder / f"{name}.tif", array)
        outputs, failures = predict_paths(disc_run.predictor, [folder], tmp_path / "out", wanted=Wanted())
        assert not failures
        return {output.source.path.stem: output.notes for output in outputs}

    def test_is_said_in_the_same_words_of_each(self, notes):
        assert {name for name, said in notes.items() if said} == {"more_bits", "more_bits_too", "scaled"}
        assert notes["more_bits"] == notes["more_bits_too"]
        assert "values far above" in notes["more_bits"][0]
        assert "values far below" in notes["scaled"][0]
        assert "normalisation.by=image" in notes["scaled"][0]

    def test_is_nothing_where_each_image_sets_its_scale(self, disc_run):
        image = in_memory(discs((60, 80), seed=2)[0][None].astype(np.uint16) * 257)
        settings = disc_run.card.normalisation
        assert other_units(image, settings)
        assert other_units(image, settings.model_copy(update={"by": "image"})) is None
