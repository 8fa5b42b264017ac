"""What was written of an image stays, whatever happens to the process."""

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from uvala.arrays import Box, Size
from uvala.errors import ShapeError, StorageError
from uvala.images.stage import Layer, Stage

SIZE = Size(70, 50)
LAYERS = {"mask": Layer(1, np.dtype(np.uint8)), "maps": Layer(3, np.dtype(np.float16))}
FIRST, EDGE = Box(0, 0, 32, 32), Box(64, 32, 70, 50)


def opened(folder, key="a", layers=LAYERS, block=32):
    return Stage.open(folder / "stage", SIZE, layers, block=block, key=key)


def values(rng, box):
    mask = rng.integers(0, 9, (1, box.height, box.width), dtype=np.uint8)
    return {"mask": mask, "maps": rng.random((3, box.height, box.width)).astype(np.float16)}


def test_what_is_written_is_read_and_the_rest_is_zero(tmp_path, rng):
    stage, whole = opened(tmp_path), {name: np.zeros((n, *SIZE), kind) for name, (n, kind) in LAYERS.items()}
    for box in (FIRST, EDGE):
        written = values(rng, box)
        stage.write(box, written)
        for name, array in whole.items():
            array[:, *box.slices] = written[name]
    for name, array in whole.items():
        assert_array_equal(stage.read(name, Box(5, 7, 69, 50)), array[:, 5:69, 7:50])


def test_a_box_may_be_several_blocks(tmp_path, rng):
    stage, box = opened(tmp_path), Box(32, 0, 70, 50)
    written = values(rng, box)
    stage.write(box, written)
    assert_array_equal(stage.read("maps", box), written["maps"])


def test_a_second_process_finds_what_the_first_has_finished(tmp_path, rng):
    written = values(rng, EDGE)
    opened(tmp_path).write(EDGE, written)
    again = opened(tmp_path)
    assert again.finished == {EDGE}
    assert_array_equal(again.read("mask", EDGE), written["mask"])


@pytest.mark.parametrize(
    "other",
    [{"key": "b"}, {"layers": {"mask": LAYERS["mask"]}}, {"block": 16}],
    ids=lambda other: next(iter(other)),
)
def test_other_numbers_begin_anew(tmp_path, rng, other):
    opened(tmp_path).write(FIRST, values(rng, FIRST))
    stage = opened(tmp_path, **other)
    assert not stage.finished
    assert not stage.read("mask", FIRST).any()


def test_a_mark_that_was_torn_does_not_count_and_does_not_spoil_the_next(tmp_path, rng):
    opened(tmp_path).write(FIRST, values(rng, FIRST))
    with (tmp_path / "stage" / "finished.txt").open("a") as marks:
        marks.write("64 32 70 5")
    stage = opened(tmp_path)
    assert stage.finished == {FIRST}
    stage.write(EDGE, values(rng, EDGE))
    assert opened(tmp_path).finished == {FIRST, EDGE}


def test_a_folder_whose_making_was_interrupted_is_made_anew(tmp_path):
    opened(tmp_path)
    (tmp_path / "stage" / "stage.json").unlink()
    (tmp_path / "stage" / "finished.txt").write_text("0 0 32 32\n")
    assert not opened(tmp_path).finished


def test_empty_blocks_are_marks_without_chunks(tmp_path):
    stage = opened(tmp_path)
    stage.write(FIRST, {name: np.zeros((n, 32, 32), kind) for name, (n, kind) in LAYERS.items()})
    assert stage.finished == {FIRST}
    assert not list((tmp_path / "stage").glob("*/c/**/0"))


def test_a_block_that_is_written_again_is_as_it_was_written_last(tmp_path, rng):
    stage = opened(tmp_path)
    stage.write(FIRST, values(rng, FIRST))
    stage.read("mask", FIRST)
    stage.write(FIRST, {name: np.zeros((n, 32, 32), kind) for name, (n, kind) in LAYERS.items()})
    assert not stage.read("mask", FIRST).any()


def test_nothing_is_left_of_a_stage_that_is_removed(tmp_path):
    opened(tmp_path).remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("box", [Box(0, 0, 31, 32), Box(1, 0, 32, 32), Box(0, 0, 32, 49)], ids=str)
def test_parts_of_blocks_are_refused(tmp_path, rng, box):
    with pytest.raises(ShapeError, match="multiples of 32"):
        opened(tmp_path).write(box, values(rng, box))


def test_a_missing_layer_is_refused(tmp_path, rng):
    with pytest.raises(ShapeError, match="all layers"):
        opened(tmp_path).write(FIRST, {"mask": values(rng, FIRST)["mask"]})


PROCESS = """
    import sys, numpy as np, resource
    from pathlib import Path
    from uvala.arrays import Box, Size
    from uvala.images.stage import Layer, Stage
    stage = Stage.open(
        Path(sys.argv[1]), Size(4096, 256), {"map": Layer(1, np.dtype(np.float32))}, block=256, key="k"
    )
    print("open", flush=True)
"""


def test_a_full_disk_is_said_and_leaves_no_mark(tmp_path):
    code = textwrap.dedent(PROCESS) + textwrap.dedent("""
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        noise = np.random.default_rng(0).random((1, 256, 256), np.float32)
        try:
            stage.write(Box(0, 0, 256, 256), {"map": noise})
        except Exception as error:
            print(type(error).__name__, len(stage.finished), (Path(sys.argv[1]) / "finished.txt").exists())
    """)
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "stage"], capture_output=True, text=True)
    assert done.stdout.splitlines()[1:] == [f"{StorageError.__name__} 0 False"], done.stderr


def test_blocks_that_were_marked_when_the_process_was_killed_are_whole(tmp_path):
    code = textwrap.dedent(PROCESS) + textwrap.dedent("""
        for top in range(0, 4096, 256):
            print(top, flush=True)
            stage.write(Box(top, 0, top + 256, 256), {"map": np.full((1, 256, 256), top + 1, np.float32)})
    """)
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "stage"], stdout=subprocess.PIPE
    ) as process:
        while process.stdout.readline().strip() != b"1024":
            pass
        os.kill(process.pid, signal.SIGKILL)
    layers = {"map": Layer(1, np.dtype(np.float32))}
    stage = Stage.open(tmp_path / "stage", Size(4096, 256), layers, block=256, key="k")
    assert len(stage.finished) >= 4
    for box in stage.finished:
        assert (stage.read("map", box) == box.top + 1).all()
