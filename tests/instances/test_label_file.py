"""An array on disk is an array."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from uvala.arrays import Box, Size
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps, find_objects
from uvala.instances.label_file import LabelFile
from uvala.instances.merge import objects_in_blocks

SIZE = Size(61, 47)


NONE = 1  # bytes of memory: no more blocks are kept than must be


def random_box(rng):
    (top, bottom), (left, right) = (sorted(rng.integers(0, side + 1, 2)) for side in SIZE)
    return Box(int(top), int(left), int(bottom), int(right))


def test_what_is_written_into_boxes_is_read_from_boxes(tmp_path):
    rng, array = np.random.default_rng(1), np.zeros(SIZE, np.int32)
    with LabelFile(tmp_path, SIZE, block=8, memory=NONE) as labels:
        for _ in range(300):
            box = random_box(rng)
            numbers = rng.integers(0, 2, (box.height, box.width)) * rng.integers(-5, 2**31 - 1)
            labels[box.slices] = array[box.slices] = numbers
            box = random_box(rng)
            assert_array_equal(labels[box.slices], array[box.slices])


@pytest.mark.parametrize("method", ["components", "watershed", "distance"])
@pytest.mark.parametrize("border_objects", ["keep", "drop"])
def test_objects_found_into_a_file_are_those_of_the_whole_image(tmp_path, method, border_objects):
    rng = np.random.default_rng(2)
    values = rng.random(SIZE, np.float32)
    config = ObjectConfig(method=method, max_hole=9, min_size=2, border_objects=border_objects)
    with LabelFile(tmp_path, SIZE, block=8, memory=NONE) as labels:
        objects_in_blocks(
            lambda box: Maps(values[box.slices], None, values[box.slices]), SIZE, config, block=8, out=labels
        )
        found = labels[Box(0, 0, *SIZE).slices]
    assert_array_equal(found, find_objects(values, config, distance=values))


def test_it_leaves_nothing_behind(tmp_path):
    with LabelFile(tmp_path, SIZE) as labels:
        labels[Box(0, 0, 9, 9).slices] = 1
    assert not list(tmp_path.iterdir())


def test_empty_blocks_take_no_memory(tmp_path):
    size = Size(200_000, 200_000)
    dot = Box(1000, 1000, 1010, 1010)
    with LabelFile(tmp_path, size, block=4096) as labels:
        labels[dot.slices] = 1
        assert labels[Box(990, 990, 1020, 1020).slices].sum() == 100
        labels[Box(100_000, 0, 100_001, 200_000).slices] = 0
        assert len(labels._kept) == 1


@pytest.mark.parametrize(("memory", "kept"), [(NONE, 4), (2 * 10**9, 23), (10**10, 119)])
def test_more_memory_keeps_more_blocks(tmp_path, memory, kept):
    with LabelFile(tmp_path, SIZE) as usual, LabelFile(tmp_path, SIZE, memory=memory) as labels:
        assert (usual._most, labels._most) == (23, kept)


def test_a_full_disk_is_said(tmp_path):
    code = """
import resource, sys, numpy as np
from pathlib import Path
from uvala.arrays import Box, Size
from uvala.instances.label_file import LabelFile
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
with LabelFile(Path(sys.argv[1]), Size(64 * 50, 64), block=64, memory=1) as labels:
    try:
        labels[0:3200, 0:64] = 1
    except Exception as error:
        print(type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
    assert done.stdout == "StorageError\n", done.stderr
