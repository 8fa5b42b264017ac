"""uvala cache: where decoded images are kept, how much room they take, and how to have it back."""

import numpy as np
import pytest
from typer.testing import CliRunner

from uvala.cli.main import app
from uvala.data.cache import open_cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UVALA_CACHE", str(tmp_path / "mine"))
    return tmp_path / "mine/images"


def said(*words: str) -> str:
    return CliRunner().invoke(app, ["cache", *words], catch_exceptions=False).stdout


def filled(count: int = 3):
    cache = open_cache()
    for number in range(count):
        cache.put(str(number), {"image": np.full(2**20, number, np.uint8)})
    return cache


def test_the_place_and_the_size_are_told(folder):
    filled()
    assert said() == f"{folder}: 3 decoded images, 3 MB\n"


def test_of_nothing_too_and_no_folder_is_made(folder):
    assert said() == f"{folder}: 0 decoded images, 0 KB\n"
    assert not folder.exists()


def test_clear_removes_them_and_says_what(folder):
    filled()
    assert said("--clear") == f"{folder}: 3 decoded images, 3 MB removed\n"
    assert list(folder.iterdir()) == []


def test_clear_leaves_what_is_no_entry(folder):
    filled()
    (folder / "note.txt").touch()
    (folder / "just_written.part").touch()
    said("--clear")
    assert {path.name for path in folder.iterdir()} == {"note.txt", "just_written.part"}


def test_a_training_in_its_midst_goes_on(folder):
    cache = filled()
    image = cache.get("1")["image"]
    said("--clear")
    assert (image == 1).all()
    assert cache.get("1") is None
    assert (cache.put("1", {"image": image})["image"] == 1).all()
