"""Trainings that are killed at random moments, on a disk with room and on one that is full.

    python benchmarks/kills.py [TRIALS] [--disk FOLDER]

Each trial trains the same small network, kills the process with SIGKILL at a random moment between its start
and its report, goes on with `resume`, and compares the final weights with those of a training that nothing
disturbed: all bits must be equal. A second part kills one training again and again until it is done.

With --disk the trainings write to FOLDER, which lies on a small disk of its own, such as that of
`mount -t tmpfs -o size=16m tmpfs FOLDER`. It is filled at a random moment, and emptied when the training has
been killed or has ended by itself for want of space.

Prints how the trainings ended and where the kills fell; how many were then resumed, begun anew (where a kill
came before there was anything to resume) or had finished already; and whether the weights were equal. Fails
if any were different, and if a training ends by itself for any other reason.
"""

import argparse
import errno
import multiprocessing
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

import uvala.models
from uvala.errors import StorageError
from uvala.log import read_events

SETTINGS = {
    "model.options": {"width": 4},
    "patches.size": 32,
    "patches.batch": 2,
    "validation.rounds": 5,
    "length.steps": 40,
}


KILLED, NO_SPACE, FINISHED, FAILED = "killed", "out of space", "finished before the kill", "failed by itself"
RESUMED, ANEW, THERE = "resumed", "begun anew", "had finished"
EQUAL, DIFFERENT, AGAIN = "equal", "different", "killed again"

EXIT_NO_SPACE = 3
"""Exit code of a training that ended for want of space."""


@dataclass(frozen=True)
class Trial:
    """How a training ended, and what came of going on with it."""

    ended: str
    """KILLED, NO_SPACE, FINISHED or FAILED"""
    where: str
    """what it was doing then"""
    went_on: str
    """RESUMED, ANEW or THERE"""
    result: str
    """EQUAL or DIFFERENT weights; AGAIN; or FAILED"""

    @property
    def fine(self) -> bool:
        return self.ended != FAILED and self.result in (EQUAL, AGAIN)


def main() -> None:
    """Make the trials and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trials", type=int, nargs="?", default=100)
    parser.add_argument("--disk", type=Path, help="a folder on a small disk")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    dice = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        data = draw(Path(folder) / "data")
        whole = Path(folder) / "whole"
        finish(start(data, whole))  # the first one also warms up the server that forks
        shutil.rmtree(whole)
        began = time.monotonic()
        finish(start(data, whole))
        length = time.monotonic() - began
        print(f"one training without a kill: {length:.2f} s", flush=True)
        if asked.disk is None:
            trial = partial(one_kill, data, Path(folder) / "run", whole, dice, length)
            trials = repeated(trial, asked.trials)
            show(f"{asked.trials} trainings, each killed once", trials)
            again = again_and_again(data, Path(folder) / "again", whole, dice, length)
            show("one training, killed again and again", again)
            trials += again
        else:
            trial = partial(full_disk, data, asked.disk / "run", whole, dice, length)
            trials = repeated(trial, asked.trials)
            show(f"{asked.trials} trainings on a disk that fills up", trials)
    sys.exit(0 if all(trial.fine for trial in trials) else 1)


def repeated(make: Callable[[], Trial], wanted: int) -> list[Trial]:
    """Trials until so many trainings have not come to their end; says now and then how it goes."""
    trials: list[Trial] = []
    while sum(trial.ended != FINISHED for trial in trials) < wanted:
        trials.append(make())
        if len(trials) % 10 == 0:
            results = Counter(trial.result for trial in trials)
            print(f"{len(trials)} trainings: {dict(results)}", file=sys.stderr, flush=True)
    return trials


def one_kill(data: Path, out: Path, whole: Path, dice: random.Random, length: float) -> Trial:
    """Kill one training and go on with it."""
    process = start(data, out)
    process.join(dice.uniform(0, length))
    trial = Trial(*end(process, out), *go_on(data, out, whole))
    shutil.rmtree(out, ignore_errors=True)
    return trial


def again_and_again(data: Path, out: Path, whole: Path, dice: random.Random, length: float) -> list[Trial]:
    """Kill one training and every resume of it, until one comes to its end before."""
    trials: list[Trial] = []
    while True:
        process = start(data, out)
        # ever longer: a process that is killed while it starts gets nowhere
        process.join(dice.uniform(0.3, 0.6) * length * 1.1 ** len(trials))
        ended, where = end(process, out)
        if ended != KILLED or way_on(out) == THERE:
            return [*trials, Trial(ended, where, *go_on(data, out, whole))]
        trials.append(Trial(ended, where, way_on(out), AGAIN))


def full_disk(data: Path, out: Path, whole: Path, dice: random.Random, length: float) -> Trial:
    """Fill the disk under a training, kill it if it does not end by itself, empty the disk and go on."""
    process = start(data, out, small_disk=True)
    process.join(dice.uniform(0, length))
    filler = out.parent / "filler"
    fill(filler)
    process.join(dice.uniform(0, length))
    ended = end(process, out)
    filler.unlink(missing_ok=True)
    trial = Trial(*ended, *go_on(data, out, whole))
    shutil.rmtree(out, ignore_errors=True)
    return trial


def start(data: Path, out: Path, *, small_disk: bool = False) -> BaseProcess:
    """Go on with what `out` holds in a process of its own, or begin a training there."""
    if not (out / "card.json").exists():
        shutil.rmtree(out, ignore_errors=True)  # what was left by a kill before there was anything to resume
    # a server that forks: torch is there already, and the training alone takes time
    context = multiprocessing.get_context("forkserver")
    families = [module.name for module in pkgutil.iter_modules(uvala.models.__path__, "uvala.models.")]
    context.set_forkserver_preload(["uvala.api.training", *families])
    process = context.Process(target=train, args=(data, out, small_disk))
    process.start()
    return process


def train(data: Path, out: Path, small_disk: bool) -> None:
    """The training; a checkpoint is written after every step, to fall between writes as often as can be."""
    from uvala.training import keeper

    keeper._SECONDS, keeper._SHARE = 0.0, float("inf")
    try:
        begun = (out / "card.json").exists()
        options = {} if begun else {"model": "pocket_unet", "settings": SETTINGS, "device": "cpu"}
        uvala.train(data, out=out, resume=begun, **options)
    except StorageError:
        if not small_disk:
            raise
        os._exit(EXIT_NO_SPACE)


def end(process: BaseProcess, out: Path) -> tuple[str, str]:
    """End a process as a power cut would; how it ended, and what it was doing then."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    known = {0: FINISHED, -signal.SIGKILL: KILLED, EXIT_NO_SPACE: NO_SPACE}
    return known.get(process.exitcode, FAILED), "" if process.exitcode == 0 else phase(out)


def phase(out: Path) -> str:
    """What a training was doing when it ended, by what it left."""
    parts = [path.name.split(".")[1] for path in out.rglob(".*.part")]
    if parts:
        return f"while {parts[0]} was written"
    events = read_events(out / "log.jsonl")
    kinds = {event["event"] for event in events}
    if not {"step", "validation"} & kinds and not (out / "checkpoint").exists():
        return "before the first step"
    steps = [event["step"] for event in events if event["event"] == "validation"]
    return "after the last step" if steps and steps[-1] == SETTINGS["length.steps"] else "while it trained"


def finish(process: BaseProcess) -> None:
    """Wait for the end."""
    process.join()
    assert process.exitcode == 0, process.exitcode


def way_on(out: Path) -> str:
    """What can be done with a folder: a run can be resumed from its card on."""
    if not (out / "card.json").exists():
        return ANEW
    return THERE if uvala.load_run(out).card.training.finished else RESUMED


def go_on(data: Path, out: Path, whole: Path) -> tuple[str, str]:
    """Go on to the end; by which way, and whether the weights are those of an undisturbed training."""
    way = way_on(out)
    if way != THERE:
        process = start(data, out)
        process.join()
        if process.exitcode != 0:
            return way, FAILED
    return way, EQUAL if same(whole, out) else DIFFERENT


def same(one: Path, other: Path) -> bool:
    """Whether the best weights, and all that a further resume would begin from, are equal, bit for bit."""
    for name in ("model.safetensors", "checkpoint/state.safetensors"):
        first, second = load_file(one / name), load_file(other / name)
        if first.keys() != second.keys():
            return False
        if any(first[key].tobytes() != second[key].tobytes() for key in first):
            return False
    return True


def fill(path: Path) -> None:
    """Leave no room on the disk of `path`."""
    for size in (1 << 16, 1 << 10, 1):
        try:
            with path.open("ab") as stream:
                while True:
                    stream.write(bytes(size))
                    stream.flush()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def show(title: str, trials: list[Trial]) -> None:
    """A table: how the trainings ended, and how many were gone on with in which way and to which result."""
    ways = sorted({(trial.went_on, trial.result) for trial in trials})
    print(f"\n{title}\n\n| ended | trainings | {' | '.join(f'{way}, {result}' for way, result in ways)} |")
    print(f"|---|--:|{'--:|' * len(ways)}")
    alike = Counter(trials)
    for (ended, where), number in Counter((trial.ended, trial.where) for trial in trials).most_common():
        counts = " | ".join(str(alike[Trial(ended, where, *way)]) for way in ways)
        print(f"| {f'{ended} {where}'.strip()} | {number} | {counts} |", flush=True)


def draw(folder: Path) -> Path:
    """Images with bright discs, and their masks."""
    dice = np.random.default_rng(0)
    rows, columns = np.mgrid[:48, :64]
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(10):
        mask = np.zeros((48, 64), bool)
        for _ in range(4):
            row, column, radius = dice.integers(48), dice.integers(64), dice.integers(4, 9)
            mask |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        image = np.where(mask, 190, 60) + dice.normal(0, 8, mask.shape)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{index}.png")
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(folder / "masks" / f"{index}.png")
    return folder


if __name__ == "__main__":
    main()
