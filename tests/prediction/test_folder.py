from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uvala.errors import DataError
from uvala.prediction.folder import find_inputs


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
