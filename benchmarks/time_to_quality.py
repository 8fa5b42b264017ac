"""How good a model is after some minutes of training, beside what others get in the same minutes.

    pip install segmentation-models-pytorch monai nnunetv2     # for the contestants; into any environment
    python benchmarks/time_to_quality.py run OUT [--contestants ...] [--data ...] [--seeds 0 1 2]
        [--minutes 2 5 10] [--scale 1] [--python PYTHON] [--data-root ../shared/data]
    python benchmarks/time_to_quality.py table OUT [--data ...]

One contestant trains at a time, in a process of its own, run by PYTHON (the environment with its package).
uvala trains once for each number of minutes, with `uvala train DATA --budget Nm --split ... --seed ...` and
nothing else; its time is that of the whole command: start, validation, scoring and report. The others train
once and are scored at the marks; their clock stands still meanwhile, and begins when data and network are
ready. Thresholds, and the smallest object that counts, are chosen on the validation images, for all
contestants by the same functions (contest_scores.py).

uvala is scored by what a user gets of it: the mean of as many mirrored and turned views of an image as its
plan has time for (4 to 8 on ISBI), and objects cut in its own way. The others predict one view (nnU-Net the
mean of 4, mirrored, which is its default), and their objects are what hangs together.

Results are added to OUT/results.jsonl, with the commit and the machine; what stands there is not run again.
Where the code is no checkout, UVALA_COMMIT says its commit. --scale 0.05 makes all times 20 times shorter, to
see that everything works.
"""

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from contest_data import CONTESTS, Case, read_contest
from contest_nnunet import ITS_DATA, WHY_ALONE, nnunet
from contest_results import append, latest, origin, run_alone
from contest_scores import COLUMNS, scores
from contest_uvala import trained
from contestants import RECIPES

RESULTS = "results.jsonl"
KEY = ("contestant", "data", "seed", "minutes")
CONTESTANTS = ("uvala", "monai", "smp", "pytorch_unet", "nnunet")
NAMES = {
    "uvala": "uvala",
    "monai": "MONAI UNet, DiceCE, Adam",
    "smp": "smp Unet resnet34 from scratch, Adam",
    "pytorch_unet": "Pytorch-UNet's recipe",
    "nnunet": "nnU-Net v2 2D, its own plan",
}
DATA_ROOT = Path(os.environ.get("UVALA_SHARED", Path(__file__).parents[2] / "shared")) / "data"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("run", "one", "table"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--contestants", nargs="*", default=CONTESTANTS, choices=CONTESTANTS)
    parser.add_argument("--data", nargs="*", default=tuple(CONTESTS), choices=tuple(CONTESTS))
    parser.add_argument("--seeds", nargs="*", type=int, default=(0,))
    parser.add_argument("--minutes", nargs="*", type=float, default=(2, 5, 10))
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every number of minutes")
    parser.add_argument("--python", default=sys.executable, help="with the contestants' packages")
    parser.add_argument("--data-root", type=Path, default=DATA_ROOT)
    arguments = parser.parse_args()
    {"run": run, "one": one, "table": table}[arguments.command](arguments)


def run(arguments: argparse.Namespace) -> None:
    """Each contestant on each data set, one process at a time."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    for data in arguments.data:
        for seed in arguments.seeds:
            for contestant in arguments.contestants:
                if contestant == "nnunet" and data != ITS_DATA:
                    print(f"nnunet {data}: left out, {WHY_ALONE}", flush=True)
                    continue
                for minutes in missing(arguments, contestant, data, seed):
                    start(arguments, contestant, data, seed, minutes)


def missing(arguments: argparse.Namespace, contestant: str, data: str, seed: int) -> list[list[float]]:
    """The marks that have no result yet: of uvala one by one, a training each; of the others together."""
    done = latest(arguments.out / RESULTS, KEY)
    marks = [
        each for each in arguments.minutes if (contestant, data, seed, each * arguments.scale) not in done
    ]
    if contestant == "uvala":
        return [[each] for each in marks]
    return [list(arguments.minutes)] if marks else []


def start(arguments: argparse.Namespace, contestant: str, data: str, seed: int, minutes: list[float]) -> None:
    python = sys.executable if contestant == "uvala" else arguments.python
    command = [python, __file__, "one", str(arguments.out), "--contestants", contestant, "--data", data]
    command += ["--seeds", str(seed), "--scale", str(arguments.scale), "--minutes", *map(str, minutes)]
    command += ["--data-root", str(arguments.data_root)]
    log = arguments.out / f"{contestant}-{data}-{seed}.log"
    run_alone(f"{contestant} {data} seed {seed} {minutes}", command, log)


def one(arguments: argparse.Namespace) -> None:
    """One contestant on one data set, in this process."""
    contestant, data, seed = arguments.contestants[0], arguments.data[0], arguments.seeds[0]
    about = origin()
    contest = read_contest(data, arguments.data_root, arguments.out)
    marks = sorted(each * arguments.scale for each in arguments.minutes)

    def record(minutes: float, predict: Callable[[Case], tuple], **facts: object) -> None:
        found = scores(contest.task, contest.validation, contest.test, predict)
        row = {"contestant": contestant, "data": data, "seed": seed, "minutes": minutes, **facts, **found}
        append(arguments.out / RESULTS, row | about)
        print(row, flush=True)

    if contestant == "uvala":
        for minutes in marks:
            folder = arguments.out / "runs" / f"{data}-{minutes:g}m-{seed}"
            budget = ("--budget", f"{60 * minutes:.0f}s", "--seed", str(seed))
            predict, facts = trained(contest, folder, *budget)
            record(minutes, predict, **facts)
    elif contestant == "nnunet":
        timed(nnunet(contest, seed, arguments.out), marks, record)
    else:
        timed(RECIPES[contestant](contest, seed), marks, record)


def timed(recipe, marks: list[float], record: Callable) -> None:
    """Train, and stop the clock at each mark to score."""
    trained, steps = 0.0, 0
    for minutes in marks:
        while trained < 60 * minutes:
            began = time.perf_counter()
            recipe.step()
            trained += time.perf_counter() - began
            steps += 1
        record(
            minutes,
            lambda case: (recipe.probabilities(case.image), None),
            steps=steps,
            seconds=round(trained, 1),
        )


def table(arguments: argparse.Namespace) -> None:
    """Means over the seeds, lowest and highest in brackets; then how far the worst seed of uvala is ahead."""
    rows = latest(arguments.out / RESULTS, KEY).values()
    for data in arguments.data:
        columns = COLUMNS[CONTESTS[data]]
        here = [row for row in rows if row["data"] == data]
        if not here:
            continue
        cells = gathered(here, columns)
        print(f"\n### {data}\n\n| contestant | minutes | seconds | seeds | steps | {' | '.join(columns)} |")
        print(f"|---|--:|--:|--:|--:|{'--:|' * len(columns)}")
        for contestant in CONTESTANTS:
            for minutes in sorted(each for name, each in cells if name == contestant):
                found = cells[contestant, minutes]
                shown = " | ".join(spread(found[column]) for column in columns)
                seconds, steps = (f"{np.mean(found[name]):.0f}" for name in ("seconds", "steps"))
                head = f"{NAMES[contestant]} | {minutes:g} | {seconds} | {len(found['steps'])} | {steps}"
                print(f"| {head} | {shown} |")
        for minutes in sorted(each for name, each in cells if name == "uvala"):
            print(lead(cells, columns, minutes))
        for what, name in (("Commits", "commit"), ("Processors", "cpu"), ("Cores", "cores")):
            if len(found := {str(row.get(name, "not noted")) for row in here}) > 1:
                print(f"\n{what}: {', '.join(sorted(found))}")


def gathered(rows: list[dict], columns: tuple[str, ...]) -> dict[tuple[str, float], dict[str, list[float]]]:
    """The values of all seeds by contestant and minutes."""
    cells: dict = defaultdict(lambda: defaultdict(list))
    for row in sorted(rows, key=lambda row: row["seed"]):
        for column in (*columns, "seconds", "steps"):
            cells[row["contestant"], row["minutes"]][column].append(row[column])
    return dict(cells)


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def lead(cells: dict, columns: tuple[str, ...], minutes: float) -> str:
    """uvala's worst seed less the best value that any other has after the same time, or after its longest."""
    parts = []
    for column in columns:
        own = min(cells["uvala", minutes][column])
        same = [
            max(found[column]) for (name, at), found in cells.items() if name != "uvala" and at == minutes
        ]
        ever = [max(found[column]) for (name, _), found in cells.items() if name != "uvala"]
        if same:
            parts.append(f"{column} {own - max(same):+.3f} (all times: {own - max(ever):+.3f})")
    return f"\nAhead after {minutes:g} min, worst seed: {'; '.join(parts)}" if parts else ""


if __name__ == "__main__":
    main()
