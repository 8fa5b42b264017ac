"""Copies of an image are found, and images that only resemble each other are not."""

import io

import numpy as np
import pytest
from PIL import Image as Pictures

from uvala.data.duplicates import exact_duplicates, join_groups, near_duplicates, neighbours_alike
from uvala.data.image_facts import look_at_image
from uvala.images.read import Image


def facts_of(array):
    return look_at_image(Image(array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)))


def cells(drawn, seed):
    return drawn.image_of(drawn.discs(seed, 7), seed)


def jpeg(picture):
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=50)
    return Pictures.open(stream)


CHANGES = {
    "JPEG": jpeg,
    "half the size": lambda picture: picture.resize((32, 32), Pictures.Resampling.BOX),
    "half the brightness": lambda picture: picture.point(lambda value: value // 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_a_near_duplicate(drawn, change):
    """P10: leakage by copies of an image."""
    images = {f"{seed}": facts_of(cells(drawn, seed)) for seed in range(8)}
    images["copy of 3"] = facts_of(np.asarray(change(Pictures.fromarray(cells(drawn, 3)))))
    assert near_duplicates(images) == (("3", "copy of 3"),)
    assert exact_duplicates(images) == ()


def test_the_same_pixels_are_exact_duplicates_and_not_near_ones(drawn):
    """P10: leakage by the same image under two names."""
    images = {name: facts_of(cells(drawn, seed)) for name, seed in [("a", 0), ("b", 1), ("c", 0)]}
    assert exact_duplicates(images) == (("a", "c"),)
    assert near_duplicates(images) == ()


def test_images_that_share_a_vignette_are_no_duplicates(drawn):
    rows, columns = np.mgrid[-1:1:64j, -1:1:64j]
    shading = 200 * (rows**2 + columns**2)
    noise = (np.random.default_rng(seed).normal(0, 8, (64, 64)) for seed in range(8))
    images = {
        f"{index}": facts_of((shading + each).clip(0, 255).astype(np.uint8))
        for index, each in enumerate(noise)
    }
    assert near_duplicates(images) == ()


def test_constant_images_are_not_compared():
    images = {name: facts_of(np.full((20, 20), 7, np.uint8)) for name in "ab"}
    assert exact_duplicates(images) == near_duplicates(images) == ()


def test_images_with_the_same_bytes_but_another_shape_differ():
    values = np.arange(200, dtype=np.uint8)
    images = {"wide": facts_of(values.reshape(10, 20)), "high": facts_of(values.reshape(20, 10))}
    assert exact_duplicates(images) == ()


def test_groups_that_share_a_member_are_joined():
    assert join_groups([("a", "b"), ("x", "y"), ("b", "c")]) == (("a", "b", "c"), ("x", "y"))


def test_a_series_is_told_from_single_images_and_from_sorted_kinds(drawn):
    """P10: neighbouring slices are alike."""
    rng = np.random.default_rng(0)
    walk = [rng.normal(0, 1, (32, 32))]
    for _ in range(39):
        walk.append(0.8 * walk[-1] + 0.6 * rng.normal(0, 1, (32, 32)))
    one, other = rng.normal(0, 1, (2, 32, 32))
    kinds = [kind + rng.normal(0, 1, (32, 32)) for kind in [one] * 20 + [other] * 20]
    single = [cells(drawn, seed) for seed in range(40)]
    assert neighbours_alike([facts_of(each) for each in walk])
    assert not neighbours_alike([facts_of(each) for each in kinds])
    assert not neighbours_alike([facts_of(each) for each in single])


def test_slices_of_a_volume_are_alike_but_no_duplicates(shared):
    """P10: measured on electron microscopy."""
    paths = sorted((shared / "data" / "isbi2012" / "images").glob("*.png"))
    images = {path.name: facts_of(np.asarray(Pictures.open(path))) for path in paths}
    assert neighbours_alike(list(images.values()))
    assert near_duplicates(images) == ()
