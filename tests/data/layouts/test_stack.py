"""Stacks of images and of masks with equal page counts."""

import numpy as np
import tifffile

from uvala.data.layouts import recognise
from uvala.images.read import Source, read_mask


def test_the_form_of_isbi_is_one_sample_per_page(make):
    root = make("train-volume.tif", "train-labels.tif", "test-volume.tif", pages=4)
    found = recognise(root)
    assert (found.layout, len(found.samples), found.unpaired) == ("stack", 4, ())
    assert found.samples[3].name == "train-volume.tif#3"
    assert found.samples[3].image == Source(root / "train-volume.tif", 3)
    assert found.samples[3].mask == Source(root / "train-labels.tif", 3)
    assert "test-volume.tif without labels" in found.evidence


def test_stacks_of_imagej_without_dimensions_are_stacks(make):
    root = make("train-volume.tif", "train-labels.tif", pages=8)
    for path in root.iterdir():
        tifffile.imwrite(path, tifffile.imread(path), imagej=True)
    assert [(one.image.page, one.mask.page) for one in recognise(root).samples] == [(n, n) for n in range(8)]


def test_a_single_stack_can_be_split(make):
    samples = recognise(make("train-volume.tif", "train-labels.tif", pages=4)).samples
    assert {(sample.group, sample.split) for sample in samples} == {(None, None)}


def test_each_of_several_stacks_is_a_group(make):
    samples = recognise(make("images/a.tif", "images/b.tif", "masks/a.tif", "masks/b.tif", pages=4)).samples
    assert sorted({sample.group for sample in samples}) == ["a.tif", "b.tif"]
    assert len(samples) == 8


def test_stacks_named_train_and_test_are_the_split(make):
    files = [f"{split}-{kind}.tif" for split in ("train", "test") for kind in ("volume", "labels")]
    samples = recognise(make(*files, pages=4)).samples
    assert {sample.name.split("-")[0]: sample.split for sample in samples} == {
        "train": "train",
        "test": "test",
    }


def test_page_counts_that_differ_are_told(make):
    root = make("images/a.tif", "masks/a.tif", "images/b.tif", "masks/b.tif", pages=4)
    tifffile.imwrite(root / "masks" / "b.tif", np.zeros((3, 24, 24), np.uint8), photometric="minisblack")
    (one,) = recognise(root).unpaired
    assert (one.path.name, one.reason) == ("b.tif", "4 pages, but 3 in masks/b.tif")


def test_an_image_of_five_channels_with_one_mask_is_no_stack(make):
    root = make("images/a.tif", "masks/a.tif")
    tifffile.imwrite(root / "images" / "a.tif", np.zeros((5, 24, 24), np.uint16))
    (sample,) = recognise(root).samples
    assert (sample.name, sample.image.page) == ("a.tif", None)


def test_two_stacks_whose_names_say_nothing_are_told_apart_by_looking(make):
    root = make("one.tif", "roads.tif", pages=4)
    samples = recognise(root).samples
    assert {sample.image.path.name for sample in samples} == {"one.tif"}
    assert set(np.unique(read_mask(samples[0].mask).values)) == {0, 255}
