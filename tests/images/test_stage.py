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
    [{"key": "b"}, {"layers": {"mask": LAYERS["mask"]}}],
    ids=lambda other: next(iter(other)),
)
def test_other_numbers_begin_anew_and_it_is_said(tmp_path, rng, other):
    opened(tmp_path).write(FIRST, values(rng, FIRST))
    stage = opened(tmp_path, **other)
    assert not stage.finished
    assert not stage.read("mask", FIRST).any()
    assert "begun anew, since what was done before (0.0 megapixels)" in stage.notes[0]
    assert "another device (--device), tiles of another size (--memory) or objects of" in stage.notes[0]


def test_a_stage_that_is_gone_on_with_keeps_its_blocks(tmp_path, rng):
    opened(tmp_path).write(FIRST, values(rng, FIRST))
    stage = opened(tmp_path, block=16)
    assert (stage.block, stage.finished, stage.notes) == (32, {FIRST}, ())


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


@pytest.mark.parametrize("file", ["zarr.json", "maps/zarr.json"])
@pytest.mark.parametrize("content", [b"", b'{"zarr_format": 3', None], ids=["empty", "cut off", "missing"])
def test_one_that_a_power_cut_damaged_is_begun_anew_and_says_so(tmp_path, rng, file, content):
    opened(tmp_path).write(FIRST, values(rng, FIRST))
    damaged = tmp_path / "stage" / file
    damaged.unlink() if content is None else damaged.write_bytes(content)
    stage = opened(tmp_path)
    assert not stage.finished
    assert "begun anew" in stage.notes[0]
    stage.write(FIRST, values(rng, FIRST))
    assert opened(tmp_path).finished == {FIRST}


def test_its_metadata_are_on_the_disk_before_it_is_a_stage(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def recorded(handle):
        synced.append(os.fstat(handle).st_ino)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", recorded)
    folder = opened(tmp_path).folder
    *before, card = synced
    assert {path.stat().st_ino for path in folder.rglob("zarr.json")} <= set(before)
    assert card == (folder / "stage.json").stat().st_ino


def test_chunks_lie_where_they_are_looked_for_whatever_zarr_s_default_is(tmp_path, rng):
    stage = opened(tmp_path)
    stage.write(EDGE, values(rng, EDGE))
    assert (stage.folder / "mask" / "c" / "0" / "2" / "1").is_file()
    assert '"separator": "/"' in (stage.folder / "mask" / "zarr.json").read_text()


def test_no_more_is_kept_of_what_was_read_than_memory_allows(tmp_path, rng):
    for memory, most in ((1, 1), (10**9, 6)):
        stage = Stage.open(tmp_path / str(memory), SIZE, LAYERS, block=32, key="a", memory=memory)
        whole = Box(0, 0, *SIZE)
        stage.write(whole, values(rng, whole))
        stage.read("maps", whole)
        assert len(stage._kept) == most


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
