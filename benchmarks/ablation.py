"""What each decision of a plan brings: the plan as it comes against the plan with one change.

    python benchmarks/ablation.py run OUT [--data isbi2012 dsb2018] [--budget 10m | --steps N] [--seeds 0 1 2]
        [--changes "patches.size=128" "loss.dice=0 loss.cross_entropy=1" ...]
    python benchmarks/ablation.py table OUT

A change is one or more settings PATH=VALUE, as `uvala train --set` takes them; without --changes, those of
CHANGES. Trainings run one after the other, the unchanged plan first, on the split of time_to_quality.py, and
are scored like there: on test images, with thresholds chosen on validation images. OUT/ablation.jsonl keeps
the results; what stands there is not run again. By --steps the cost of a decision does not count, by --budget
it does.
"""

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from contest_data import CONTESTS, read_contest
from contest_scores import COLUMNS, scores
from contest_uvala import trained
from time_to_quality import DATA_ROOT

PLAN = "the plan"
CHANGES = (
    # what is computed, and how
    "execution.memory_format=contiguous",
    "precision=float32",
    "model.options.fold=1 model.options.width=16 model.options.depth=4",
    "model.options.width=16",
    "patches.size=128",
    "patches.batch=2",
    # what is learnt
    "targets.objects=classes",
    "loss.dice=0",
    "loss.cross_entropy=0",
    # how
    "optimiser.learning_rate=0.001",
    "optimiser.warmup=0",
    "optimiser.schedule=constant",
    "optimiser.average=0",
    "optimiser.weight_decay=0",
    # on what
    "augment.elastic_probability=0",
    "augment.rotation_probability=0 augment.scale_probability=0 augment.elastic_probability=0",
    "augment.brightness_probability=0 augment.contrast_probability=0 augment.gamma_probability=0 "
    "augment.noise_probability=0 augment.blur_probability=0",
    # how it is used
    "test_time.flip_horizontal=false test_time.flip_vertical=false test_time.quarter_turns=false",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("run", "one", "table"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="*", default=("isbi2012", "dsb2018"), choices=tuple(CONTESTS))
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", nargs="*", type=int, default=(0,))
    parser.add_argument("--changes", nargs="*", default=CHANGES)
    parser.add_argument("--data-root", type=Path, default=DATA_ROOT)
    arguments = parser.parse_args()
    {"run": run, "one": one, "table": table}[arguments.command](arguments)


def run(arguments: argparse.Namespace) -> None:
    """Each training in a process of its own, so that none inherits another's memory."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    length = ["--steps", str(arguments.steps)] if arguments.steps else ["--budget", arguments.budget]
    done = {(row["data"], row["seed"], row["change"]) for row in results(arguments.out)}
    for data in arguments.data:
        for seed in arguments.seeds:
            for change in (PLAN, *arguments.changes):
                if (data, seed, change) in done:
                    continue
                print(f"{time.strftime('%H:%M:%S')} {data} seed {seed}: {change}", flush=True)
                command = [sys.executable, __file__, "one", str(arguments.out), "--data", data, *length]
                command += ["--seeds", str(seed), "--changes", change]
                command += ["--data-root", str(arguments.data_root)]
                with (arguments.out / "ablation.log").open("a") as file:
                    failed = subprocess.run(
                        command, stdout=file, stderr=subprocess.STDOUT, check=False
                    ).returncode
                if failed:
                    print(f"  failed ({failed}), see {arguments.out / 'ablation.log'}", flush=True)


def one(arguments: argparse.Namespace) -> None:
    """One training with one change, in this process."""
    data, seed, change = arguments.data[0], arguments.seeds[0], arguments.changes[0]
    contest = read_contest(data, arguments.data_root, arguments.out)
    settings = [] if change == PLAN else change.split()
    if arguments.steps:
        settings.append(f"length.steps={arguments.steps}")
    length = [] if arguments.steps else ["--budget", arguments.budget]
    options = [part for setting in settings for part in ("--set", setting)]
    folder = arguments.out / "runs" / f"{data}-{seed}-{name_of(change)}"
    predict, facts = trained(contest, folder, *length, "--seed", str(seed), *options)
    found = scores(contest.task, contest.validation, contest.test, predict)
    row = {"data": data, "seed": seed, "change": change, **facts, **found}
    with (arguments.out / "ablation.jsonl").open("a") as file:
        print(json.dumps(row), file=file)


def name_of(change: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in change)[:80]


def results(out: Path) -> list[dict]:
    path = out / "ablation.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(arguments: argparse.Namespace) -> None:
    """Means over the seeds, and how much a change loses (-) or gains (+) against the plan, seed by seed."""
    for data in arguments.data:
        rows = [row for row in results(arguments.out) if row["data"] == data]
        if not rows:
            continue
        columns = COLUMNS[CONTESTS[data]]
        by_change: dict[str, dict[int, dict]] = defaultdict(dict)
        for row in rows:
            by_change[row["change"]][row["seed"]] = row
        print(f"\n### {data}\n\n| change | seeds | steps | {' | '.join(columns)} |")
        print(f"|---|--:|--:|{'--:|' * len(columns)}")
        plan = by_change.pop(PLAN, {})
        for change, seeds in [(PLAN, plan), *by_change.items()]:
            shown = " | ".join(cell(seeds, plan, column) for column in columns)
            steps = np.mean([row["steps"] for row in seeds.values()]) if seeds else 0
            print(f"| {change} | {len(seeds)} | {steps:.0f} | {shown} |")


def cell(seeds: dict[int, dict], plan: dict[int, dict], column: str) -> str:
    if not seeds:
        return ""
    mean = f"{np.mean([row[column] for row in seeds.values()]):.3f}"
    if seeds is plan:
        return mean
    gains = [seeds[seed][column] - plan[seed][column] for seed in seeds.keys() & plan.keys()]
    return f"{mean} ({np.mean(gains):+.3f})" if gains else mean


if __name__ == "__main__":
    main()
