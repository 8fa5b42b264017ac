"""What each decision of a plan brings: the plan as it comes against the plan with one change.

    python benchmarks/ablation.py run OUT [--data isbi2012 dsb2018] [--budget 10m | --steps N] [--seeds 0 1 2]
        [--changes "patches.size=128" "loss.dice=0 loss.cross_entropy=1" ...]
    python benchmarks/ablation.py table OUT

A change is one or more settings PATH=VALUE, as `uvala train --set` takes them; without --changes, those of
CHANGES. Trainings run one after the other, the unchanged plan first, on the split of time_to_quality.py, and
are scored by its functions, but on the split's validation images: what the planner does must not be chosen by
a look at the test images on which it is measured. (Weights, thresholds and the smallest objects are chosen on
the same validation images, so scores are higher than on new ones, of every row alike.) OUT/ablation.jsonl
keeps the results; what stands there is not run again. By --steps the cost of a decision does not count, by
--budget it does.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from contest_data import CONTESTS, read_contest
from contest_results import append, latest, origin, run_alone
from contest_scores import COLUMNS, scores
from contest_uvala import trained
from time_to_quality import DATA_ROOT

RESULTS = "ablation.jsonl"
KEY = ("data", "length", "seed", "change")
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
    """Each training that has no result yet."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    done = latest(arguments.out / RESULTS, KEY)
    length = ["--steps", str(arguments.steps)] if arguments.steps else ["--budget", arguments.budget]
    for data in arguments.data:
        for seed in arguments.seeds:
            for change in (PLAN, *arguments.changes):
                if (data, length_of(arguments), seed, change) in done:
                    continue
                command = [sys.executable, __file__, "one", str(arguments.out), "--data", data, *length]
                command += ["--seeds", str(seed), "--changes", change]
                command += ["--data-root", str(arguments.data_root)]
                run_alone(f"{data} seed {seed}: {change}", command, arguments.out / "ablation.log")


def one(arguments: argparse.Namespace) -> None:
    """One training with one change, in this process."""
    data, seed, change = arguments.data[0], arguments.seeds[0], arguments.changes[0]
    about = origin()
    contest = read_contest(data, arguments.data_root, arguments.out)
    settings = [] if change == PLAN else change.split()
    if arguments.steps:
        settings.append(f"length.steps={arguments.steps}")
    budget = [] if arguments.steps else ["--budget", arguments.budget]
    options = [part for setting in settings for part in ("--set", setting)]
    length = length_of(arguments)
    folder = arguments.out / "runs" / f"{data}-{name_of(length)}-{seed}-{name_of(change)}"
    predict, facts = trained(contest, folder, *budget, "--seed", str(seed), *options)
    found = scores(contest.task, contest.validation, contest.validation, predict)
    row = {"data": data, "length": length, "seed": seed, "change": change, **about, **facts, **found}
    append(arguments.out / RESULTS, row)


def length_of(arguments: argparse.Namespace) -> str:
    """How long a training is, in words."""
    return f"{arguments.steps} steps" if arguments.steps else arguments.budget


def name_of(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text)[:80]


def table(arguments: argparse.Namespace) -> None:
    """Means over the seeds, and how much a change loses (-) or gains (+) against the plan, seed by seed."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    for (data, length, seed, change), row in latest(arguments.out / RESULTS, KEY).items():
        if data in arguments.data:
            found[data, length][change][seed] = row
    for (data, length), by_change in sorted(found.items()):
        columns = COLUMNS[CONTESTS[data]]
        print(f"\n### {data}, {length}, validation images\n")
        print(f"| change | seeds | steps | {' | '.join(columns)} |\n|---|--:|--:|{'--:|' * len(columns)}")
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
