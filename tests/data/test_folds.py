"""Each image validates one fold; groups, copies and neighbours stay together."""

import numpy as np
import pytest
from PIL import Image

from drawn import discs
from uvala.data.dataset import read_dataset
from uvala.data.folds import make_folds
from uvala.data.splits import Split, make_split
from uvala.errors import SplitError


def write(folder, names):
    """A data set whose images have these names, each with content of its own."""
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for seed, name in enumerate(names):
        image, mask = discs(size=(24, 24), seed=seed)
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
        Image.fromarray(mask * np.uint8(255)).save(folder / "masks" / f"{name}.png")
    return read_dataset(folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write(tmp_path_factory.mktemp("plain"), [f"cell{n}" for n in range(11)])


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    names = [
        f"patient{who}_slice{n}" for who, slices in ((1, 4), (2, 3), (3, 2), (4, 2)) for n in range(slices)
    ]
    return write(tmp_path_factory.mktemp("patients"), names)


def folds_of(dataset, folds, **split):
    parts = Split(**split) if split else make_split(dataset, seed=0)
    return make_folds(dataset, parts, folds, seed=0)


def test_each_image_validates_once_and_trains_the_other_folds(plain):
    folds = folds_of(plain, 3)
    validating = [name for fold in folds for name in fold.val]
    assert sorted(validating) == sorted(sample.name for sample in plain.samples)
    for fold in folds:
        assert not {*fold.train} & {*fold.val}
        assert len(fold.train) + len(fold.val) == 11


def test_the_parts_are_about_equal(plain):
    assert sorted(len(fold.val) for fold in folds_of(plain, 3)) == [3, 4, 4]


def test_what_is_held_out_stays_out(plain):
    names = [sample.name for sample in plain.samples]
    folds = folds_of(plain, 2, train=names[2:8], val=names[8:], test=names[:2])
    for fold in folds:
        assert fold.test == tuple(names[:2])
        assert {*fold.train, *fold.val} == {*names[2:]}


def test_groups_stay_together(patients):
    for fold in folds_of(patients, 3):
        sides = {name.partition("_")[0] for name in fold.val} & {
            name.partition("_")[0] for name in fold.train
        }
        assert not sides


def test_neighbours_of_a_series_stay_together(tmp_path):
    base = discs(size=(24, 24))[0].astype(int)
    dataset = write(tmp_path, [f"{n:02d}" for n in range(12)])
    for n, path in enumerate(sorted((tmp_path / "images").iterdir())):
        Image.fromarray((base + n).clip(0, 255).astype(np.uint8)).save(path)
    dataset = read_dataset(tmp_path)
    assert [fold.val for fold in folds_of(dataset, 3)] == [
        tuple(f"{n:02d}.png" for n in range(first, first + 4)) for first in (0, 4, 8)
    ]


def test_the_seed_draws_the_parts(plain):
    split = make_split(plain, seed=0)
    parts = [[fold.val for fold in make_folds(plain, split, 3, seed=seed)] for seed in (0, 0, 1)]
    assert parts[0] == parts[1] != parts[2]


def test_more_folds_than_groups_are_refused(patients):
    with pytest.raises(SplitError, match=r"found 4 groups of images for 5 folds.*choose --folds 4 or fewer"):
        folds_of(patients, 5)
