"""Predictions of images that count as large, for tests: block by block, and interrupted at will."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import uvala
from uvala.api.predicting import predict_paths
from uvala.prediction import folder
from uvala.prediction.engine import Predictor
from uvala.prediction.wanted import Wanted
from uvala.tiling.config import TileConfig


@contextmanager
def images_are_large(limit: int = 0) -> Iterator[None]:
    """Inside, images of more than `limit` bytes are predicted block by block."""
    before, folder.IN_MEMORY = folder.IN_MEMORY, limit
    try:
        yield
    finally:
        folder.IN_MEMORY = before


def cut_small(run: Path, size: int = 64, mode: str = "exact") -> Predictor:
    """The predictor of a run with one network, whose tiles contribute `size` pixels a side."""
    predictor = uvala.load_run(run, device="cpu").predictor
    tiles = TileConfig(size=size, mode=mode, whole_below=0, overlap=16)
    predictor.card = predictor.card.model_copy(update={"tiles": tiles})
    return predictor


def write_image(path: Path, size: tuple[int, int], seed: int = 3) -> Path:
    """A grey image with discs, as an NPY file."""
    from drawn import discs

    np.save(path, discs(size=size, seed=seed)[0])
    return path


def wait_for_a_block(out: Path) -> None:
    """Wait until a block is written: the thread that does it may be behind what the network has seen."""
    while not any(path.stat().st_size for path in out.glob(".*.stage/finished.txt")):
        time.sleep(0.01)


def killed_while_predicting(run: Path, image: Path, out: Path, wanted: Wanted, blocks: int) -> bool:
    """Predict in another process that is killed after so many blocks; whether it came to that."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["uvala.api.predicting", "uvala.models.pocket_unet"])
    process = context.Process(target=_predict, args=(run, image, out, wanted, blocks))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _predict(run: Path, image: Path, out: Path, wanted: Wanted, blocks: int) -> None:
    seen = 0

    def watch(pixels: int, share: float) -> None:
        nonlocal seen
        seen += 1
        if seen == blocks:
            wait_for_a_block(out)
            os.kill(os.getpid(), signal.SIGKILL)

    with images_are_large():
        predict_paths(cut_small(run), [image], out, wanted, watch=watch)
