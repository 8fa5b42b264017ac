"""The fingerprint of a data set."""

import numpy as np
import pytest
from PIL import Image

import uvala.data.fingerprint
from drawn import write_cells, write_discs, write_touching_squares
from uvala.data.dataset import read_dataset
from uvala.data.facts import Facts
from uvala.data.fingerprint import take_fingerprint


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    dataset = read_dataset(write_touching_squares(tmp_path_factory.mktemp("facts") / "data"))
    return take_fingerprint(dataset, dataset.samples)


def test_holds_what_the_files_say(squares):
    assert (squares.images, squares.channels, squares.largest) == (6, 1, (32, 32))
    assert squares.class_shares == pytest.approx((1 - 3 * 36 / 1024, 3 * 36 / 1024))


def test_holds_what_the_masks_show(squares):
    """Three squares of 6x6 in each image, of which two touch."""
    objects = squares.objects
    assert (objects.images, objects.objects, objects.area) == (6, 3, (36, 36, 36))
    assert objects.touching == pytest.approx(2 / 3)
    assert objects.spacing == pytest.approx(6)


def test_walls_between_cells_are_thin_and_one_piece(tmp_path):
    dataset = read_dataset(write_cells(tmp_path / "data"))
    objects = take_fingerprint(dataset, dataset.samples).objects
    assert objects.thickness[0] == pytest.approx(2, abs=0.5)
    assert objects.pieces[0] == 1
    assert objects.pieces[1] >= 16


def test_survives_its_file(squares):
    assert Facts.model_validate_json(squares.model_dump_json()) == squares


def test_images_that_are_alike_correlate(tmp_path):
    folder = write_discs(tmp_path / "data", count=6)
    different = read_dataset(folder).facts.likeness
    first = np.array(Image.open(folder / "images/00.png")).astype(int)
    for index in range(6):
        noise = np.random.default_rng(index).normal(0, 20, first.shape)
        Image.fromarray((first + noise).clip(0, 255).astype(np.uint8)).save(
            folder / f"images/{index:02d}.png"
        )
    assert read_dataset(folder).facts.likeness > 0.8 > different


def test_a_bounded_number_of_pairs_is_looked_at(tmp_path, monkeypatch):
    dataset = read_dataset(write_discs(tmp_path / "data", count=9))
    monkeypatch.setattr(uvala.data.fingerprint, "_MOST", 4)
    found = take_fingerprint(dataset, dataset.samples)
    assert (found.images, found.objects.images) == (9, 4)


def test_two_pairs_are_looked_at_in_no_time_at_all(tmp_path):
    dataset = read_dataset(write_discs(tmp_path / "data", count=9))
    assert take_fingerprint(dataset, dataset.samples, seconds=0.0).objects.images == 2
