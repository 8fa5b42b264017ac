"""What makes touching objects come apart: targets in training against ways to find objects afterwards.

    python benchmarks/objects.py train DATA OUT [STEPS] [KIND ...]    a run per kind of target, in turn
    python benchmarks/objects.py table DATA OUT                       AP on the test images of each run

DATA: a data set whose masks number objects, with a split.json. All runs have one network and one seed; the
decoding is tuned on the validation images, method by method, and scored on the test images.
"""

import sys
from pathlib import Path

import uvala
from uvala.data.dataset import read_dataset
from uvala.instances import Maps, ObjectConfig, find_objects, tune
from uvala.metrics import object_counts, overlaps, pooled
from uvala.prediction.engine import Predictor
from uvala.runs.folder import open_run

KINDS = ("classes", "weights", "borders", "distance")
SECONDS = 90.0  # for each search; enough for it to finish on a few dozen images


def train(data: Path, out: Path, steps: int, kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        settings = {
            "length.steps": steps,
            "model.options.width": 24,
            "validation.rounds": 8,
            "targets.objects": kind,
        }
        uvala.train(data, out=out / kind, split=data / "split.json", settings=settings)


def counts(found, truths):
    return pooled([object_counts(overlaps(*pair)) for pair in zip(found, truths, strict=True)])


def mean_ap(found, truths) -> float:
    return counts(found, truths).mean_ap


def test_scores(config: ObjectConfig, cases) -> str:
    found = [
        find_objects(maps.foreground, config, borders=maps.borders, distance=maps.distance)
        for maps, _ in cases
    ]
    total = counts(found, [truth for _, truth in cases])
    return f"{total.ap[0]:.3f} | {total.ap[5]:.3f} | {total.mean_ap:.3f}"


def methods_for(maps: Maps) -> list[str]:
    learnt = [name for name in ("borders", "distance") if getattr(maps, name) is not None]
    return ["components", "watershed", "probability", *learnt]


def table(data: Path, out: Path) -> None:
    print("| trained on | objects by | settings | AP 0.5 | AP 0.75 | mean AP |")
    print("|---|---|---|--:|--:|--:|")
    for folder in sorted(path.parent for path in out.glob("*/model.safetensors")):
        run = open_run(folder)
        dataset, predictor = read_dataset(data, encoding=run.card.encoding), Predictor(run)

        def cases(names, dataset=dataset, predictor=predictor):
            samples = dataset.subset(names)
            return [(predictor(dataset.image(each)).maps, dataset.instances(each)) for each in samples]

        validation, test = cases(run.split.val), cases(run.split.test)
        for method in methods_for(test[0][0]):
            base = ObjectConfig(method=method)
            tuned = tune(validation, mean_ap, base, seconds=SECONDS, methods=(method,)).config
            for words, config in (("default", base), ("tuned", tuned)):
                print(f"| {folder.name} | {method} | {words} | {test_scores(config, test)} |", flush=True)


def main(arguments: list[str]) -> None:
    command, data, out = arguments[0], Path(arguments[1]), Path(arguments[2])
    if command == "train":
        steps = int(arguments[3]) if len(arguments) > 3 else 800
        train(data, out, steps, tuple(arguments[4:]) or KINDS)
    else:
        table(data, out)


if __name__ == "__main__":
    main(sys.argv[1:])
