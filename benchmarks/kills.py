"""Trainings that are killed at random moments, on a disk with room and on one that is full.

    python benchmarks/kills.py [TRIALS] [--disk FOLDER]

Each trial trains the same small network, kills the process with SIGKILL at a random moment between its start
and its report, goes on with `resume`, and compares the final weights with those of a training that nothing
disturbed: all bits must be equal. A second part kills one training again and again until it is done.

With --disk the trainings write to FOLDER, which lies on a small disk of its own, such as that of
`mount -t tmpfs -o size=16m tmpfs FOLDER`. It is filled at a random moment, and emptied when the training has
been killed or has ended by itself for want of space.

Prints where the kills fell, and how many resumes were equal, different or impossible.
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
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

import uvala.models
from uvala.errors import UvalaError
from uvala.log import read_events

SETTINGS = {
    "model.options": {"width": 4},
    "patches.size": 32,
    "patches.batch": 2,
    "validation.rounds": 5,
    "length.steps": 40,
}


@dataclass
class Tally:
    """What came of the trials."""

    killed: Counter[str] = field(default_factory=Counter)
    resumes: Counter[str] = field(default_factory=Counter)

    @property
    def kills(self) -> int:
        """Of trainings that had not come to their end before."""
        return self.killed.total() - self.killed["not at all"]

    def note(self, result: str) -> None:
        """Count a resume; say now and then how it goes."""
        self.resumes[result] += 1
        if self.resumes.total() % 10 == 0:
            print(f"{self.resumes.total()} resumes: {dict(self.resumes)}", file=sys.stderr, flush=True)


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
        tally = Tally()
        if asked.disk is None:
            while tally.kills < asked.trials:
                one_kill(data, Path(folder) / "run", whole, dice.uniform(0, length), tally)
            show(f"{asked.trials} trainings, each killed once", tally)
            again_and_again(data, Path(folder) / "again", whole, dice, length, tally := Tally())
            show("one training, killed again and again", tally)
        else:
            while tally.kills < asked.trials:
                full_disk(data, asked.disk / "run", whole, dice, length, tally)
            show(f"{asked.trials} trainings on a disk that fills up", tally)
    sys.exit(0 if set(tally.resumes) == {"equal"} else 1)


def one_kill(data: Path, out: Path, whole: Path, after: float, tally: Tally) -> None:
    """Kill one training and go on with it."""
    process = start(data, out)
    process.join(after)
    tally.killed[kill(process, out)] += 1
    go_on(data, out, whole, tally)
    shutil.rmtree(out, ignore_errors=True)


def again_and_again(
    data: Path, out: Path, whole: Path, dice: random.Random, length: float, tally: Tally
) -> None:
    """Kill one training and every resume of it, until one comes to its end before."""
    while True:
        process = start(data, out)
        # ever longer: a process that is killed while it starts gets nowhere
        process.join(dice.uniform(0.3, 0.6) * length * 1.1**tally.kills)
        where = kill(process, out)
        tally.killed[where] += 1
        if where == "not at all":
            break
    go_on(data, out, whole, tally)


def full_disk(data: Path, out: Path, whole: Path, dice: random.Random, length: float, tally: Tally) -> None:
    """Fill the disk under a training, kill it if it does not end by itself, empty the disk and go on."""
    process = start(data, out, quiet=True)
    process.join(dice.uniform(0, length))
    filler = out.parent / "filler"
    fill(filler)
    process.join(dice.uniform(0, length))
    where = "by itself, no space" if process.exitcode == 3 else kill(process, out)
    tally.killed[where] += 1
    filler.unlink(missing_ok=True)
    go_on(data, out, whole, tally)
    shutil.rmtree(out, ignore_errors=True)


def start(data: Path, out: Path, *, quiet: bool = False) -> BaseProcess:
    """Begin a training in a process of its own, or go on with what `out` holds."""
    # a server that forks: torch is there already, and the training alone takes time
    context = multiprocessing.get_context("forkserver")
    families = [module.name for module in pkgutil.iter_modules(uvala.models.__path__, "uvala.models.")]
    context.set_forkserver_preload(["uvala.api.training", *families])
    process = context.Process(target=train, args=(data, out, quiet))
    process.start()
    return process


def train(data: Path, out: Path, quiet: bool) -> None:
    """The training; a checkpoint is written after every step, to fall between writes as often as can be."""
    from uvala.training import keeper

    keeper._SECONDS, keeper._SHARE = 0.0, float("inf")
    try:
        begun = (out / "card.json").exists()
        options = {} if begun else {"model": "pocket_unet", "settings": SETTINGS, "device": "cpu"}
        uvala.train(data, out=out, resume=begun, **options)
    except UvalaError as error:
        if not quiet:
            print(error, file=sys.stderr)
        os._exit(3)


def kill(process: BaseProcess, out: Path) -> str:
    """End a process as a power cut would; where it was then."""
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    if process.exitcode == 0:
        return "not at all"
    parts = [path.name.split(".")[1] for path in out.rglob(".*.part")]
    if parts:
        return f"while {parts[0]} was written"
    kinds = [event["event"] for event in read_events(out / "log.jsonl")]
    if not {"step", "validation"} & set(kinds) and not (out / "checkpoint").exists():
        return "before the first step"
    steps = [event["step"] for event in read_events(out / "log.jsonl") if event["event"] == "validation"]
    return "after the last step" if steps and steps[-1] == SETTINGS["length.steps"] else "while it trained"


def finish(process: BaseProcess) -> None:
    """Wait for the end."""
    process.join()
    assert process.exitcode == 0, process.exitcode


def go_on(data: Path, out: Path, whole: Path, tally: Tally) -> None:
    """Resume to the end and compare."""
    if (out / "card.json").exists() and not is_finished(out):
        process = start(data, out)
        process.join()
        if process.exitcode != 0:
            tally.note("impossible")
            return
    elif not (out / "card.json").exists():
        shutil.rmtree(out, ignore_errors=True)
        finish(start(data, out))
    tally.note("equal" if same(whole, out) else "different")


def is_finished(out: Path) -> bool:
    return uvala.load_run(out).card.training.finished


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


def show(title: str, tally: Tally) -> None:
    """A table of what was counted."""
    print(f"\n{title}\n\n| killed | |\n|---|--:|")
    for where, count in tally.killed.most_common():
        print(f"| {where} | {count} |")
    print("\n| resumes | |\n|---|--:|")
    for result, count in tally.resumes.most_common():
        print(f"| {result} | {count} |", flush=True)


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
