"""Blocks change nothing: the objects, and their numbers, are those of the whole image."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import ndimage

from uvala.arrays import Size
from uvala.errors import ConfigError, ShapeError
from uvala.instances import merge
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps, find_objects
from uvala.instances.merge import objects_in_blocks
from uvala.machine import Memory

METHODS = ["components", "watershed", "probability", "borders", "distance"]


def reader(maps):
    return lambda box: Maps(*(None if values is None else values[box.slices] for values in maps))


def whole(maps, config):
    return find_objects(maps.foreground, config, borders=maps.borders, distance=maps.distance)


def in_blocks(maps, config, block, **others):
    return objects_in_blocks(reader(maps), Size(*maps.foreground.shape), config, block=block, **others)


def random_map(rng, shape, levels):
    """Blobs of some size; with few levels many pixels are equally high, and the rule for ties decides."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.choice([0.1, 1, 2, 4]))
    unit = (noise - noise.min()) / max(np.ptp(noise), 1e-9)
    return (np.round(unit * levels) / levels if levels else unit).astype(np.float32)


def random_maps(rng):
    shape, levels = rng.integers(1, 48, 2), rng.choice([0, 3, 8, 255])
    foreground, other, distance = (random_map(rng, shape, levels) for _ in range(3))
    return Maps(foreground, foreground * other, distance)


def random_config(rng, method):
    return ObjectConfig(
        method=method,
        threshold=round(rng.uniform(0.1, 0.7), 2),
        seed_threshold=float(rng.choice([0.2, 0.4, 0.6])),
        seed_depth=float(rng.choice([0, 0.5, 1, 2])),
        smoothing=float(rng.choice([0, 0, 0.7, 2])),
        min_size=int(rng.choice([0, 3, 20])),
        max_hole=int(rng.choice([0, 2, 10, 80])),
        connectivity=int(rng.integers(1, 3)),
        border_objects=str(rng.choice(["keep", "drop"])),
    )


def spiral(side, width):
    """One line of `width` pixels that winds through the whole image, with as much between its turns."""
    cells = side // width
    path = np.zeros((cells, cells), np.float32)
    y, x, dy, dx = 0, 0, 0, 1
    path[0, 0] = 1
    for length in [cells - 1] + [n for n in range(cells - 1, 0, -2) for _ in range(2)]:
        for _ in range(length):
            y, x = y + dy, x + dx
            path[y, x] = 1
        dy, dx = dx, -dy
    return np.kron(path, np.ones((width, width), np.float32))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("method", METHODS)
def test_blocks_of_any_size_give_the_objects_of_the_whole_image(method, seed):
    rng = np.random.default_rng(seed)
    for _ in range(30):
        maps, config = random_maps(rng), random_config(rng, method)
        block = int(rng.integers(7, 65))
        assert_array_equal(in_blocks(maps, config, block), whole(maps, config), err_msg=f"{block} {config}")


@pytest.mark.parametrize("method", METHODS)
def test_a_block_may_be_a_single_pixel(method):
    rng = np.random.default_rng(0)
    for _ in range(5):
        maps = Maps(*(values[:9, :9] for values in random_maps(rng)))
        config = random_config(rng, method)
        assert_array_equal(in_blocks(maps, config, 1), whole(maps, config))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("block", [7, 16, 30])
def test_an_object_that_winds_through_all_blocks_is_one(method, block):
    line = spiral(60, 3)
    maps = Maps(line, 0 * line, line)
    # along the image's border the line has background on one side only, and counts as wider there
    found = in_blocks(maps, ObjectConfig(method=method, seed_depth=9), block)
    assert_array_equal(found, line)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0, 1])
def test_an_image_of_one_value_has_no_object_or_one(method, value):
    flat = np.full((20, 33), value, np.float32)
    assert_array_equal(in_blocks(Maps(flat, 0 * flat, flat), ObjectConfig(method=method), 8), flat)


def test_an_image_without_pixels_is_fine():
    empty = np.zeros((0, 5), np.float32)
    assert in_blocks(Maps(empty), ObjectConfig(border_objects="drop", max_hole=3, min_size=2), 8).shape == (
        0,
        5,
    )


def test_a_hole_that_crosses_blocks_is_filled_and_one_that_is_too_large_is_not():
    frame = np.zeros((20, 20), np.float32)
    frame[2:18, 2:18] = 1
    frame[5:15, 6:14] = 0
    for limit in (80, 79):
        config = ObjectConfig(max_hole=limit)
        assert (in_blocks(Maps(frame), config, 7) > 0).sum() == (256 if limit == 80 else 176)


@pytest.mark.parametrize("method", METHODS)
def test_the_result_may_lie_on_disk_and_what_was_there_does_not_matter(method, tmp_path):
    rng = np.random.default_rng(3)
    maps, config = random_maps(rng), ObjectConfig(method=method)
    out = np.memmap(tmp_path / "labels", np.int32, "w+", shape=maps.foreground.shape)
    out[:] = rng.integers(-9, 9, out.shape)
    found = in_blocks(maps, config, 16, out=out)
    assert found is out
    assert_array_equal(found, whole(maps, config))


@pytest.mark.parametrize(
    ("method", "smoothing", "largest"), [("components", 0, 16), ("distance", 2, 16 + 16)]
)
def test_no_more_than_a_block_and_its_surroundings_is_read_where_clumps_are_small(method, smoothing, largest):
    dots = np.zeros((64, 64), np.float32)
    dots[4::8, 4::8] = 1
    sides = []

    def read(box):
        sides.append(max(box.height, box.width))
        return Maps(dots[box.slices], None, dots[box.slices])

    config = ObjectConfig(method=method, smoothing=smoothing)
    assert objects_in_blocks(read, Size(64, 64), config, block=16).max() == 64
    assert max(sides) == largest


@pytest.mark.parametrize("method", METHODS)
def test_a_clump_that_memory_cannot_separate_is_refused_before_it_is_cut_out(monkeypatch, method):
    monkeypatch.setattr(merge, "_SMALL", 0)
    monkeypatch.setattr(merge, "usable_memory", lambda: Memory(whole=10**6, free=2 * 10**5))
    ones = np.ones((40, 50), np.float32)
    maps, config = Maps(ones, ones * 0, ones), ObjectConfig(method=method)
    if method == "components":  # which needs no more than a block
        assert_array_equal(in_blocks(maps, config, 16), ones)
    else:
        with pytest.raises(ConfigError, match=r"hang together over 50x40 pixels.*objects\.method=components"):
            in_blocks(maps, config, 16)


def test_holes_so_large_that_memory_cannot_look_at_them_are_refused_before_the_first_block(monkeypatch):
    monkeypatch.setattr(merge, "_SMALL", 0)
    monkeypatch.setattr(merge, "usable_memory", lambda: Memory(whole=10**6, free=2 * 10**4))
    maps = Maps(np.zeros((40, 50), np.float32))
    assert not in_blocks(maps, ObjectConfig(method="components", max_hole=5), 16).any()
    with pytest.raises(ConfigError, match=r"objects\.max_hole = 1000.*lower objects\.max_hole"):
        in_blocks(maps, ObjectConfig(method="components", max_hole=1000), 16)


def test_wrong_pixels_a_wrong_result_and_a_wrong_block_are_refused():
    ones, config = np.ones((9, 9), np.float32), ObjectConfig()
    with pytest.raises(ShapeError, match="exactly the pixels that were asked for"):
        objects_in_blocks(lambda box: Maps(ones), Size(9, 9), config, block=4)
    with pytest.raises(ShapeError, match="for the result"):
        in_blocks(Maps(ones), config, 4, out=np.zeros((9, 9), np.int64))
    with pytest.raises(ConfigError, match="block = 0"):
        in_blocks(Maps(ones), config, 0)
    with pytest.raises(ConfigError, match="predicts no borders"):
        objects_in_blocks(
            lambda box: Maps(ones[box.slices]), Size(9, 9), ObjectConfig(method="borders"), block=4
        )
