"""What the report of a run shows, gathered from the run folder, the data and the scores."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import uvala
from uvala.api.gallery import Gallery
from uvala.data.dataset import Dataset
from uvala.evaluation.scores import Scores
from uvala.evaluation.verdict import verdict
from uvala.log import read_events
from uvala.report.augmented import augmentation_words, augmented_patches
from uvala.report.measures import image_values
from uvala.report.pages import Card, Example, ReportData, write_report
from uvala.report.sentences import listed, plural
from uvala.runs.folder import RunFolder

__all__ = ["write_masks_report", "write_run_report"]

_SAMPLES = 8


def write_run_report(
    run: RunFolder,
    dataset: Dataset,
    scores: Scores,
    gallery: Gallery,
    path: Path | None = None,
    *,
    out_of_fold: bool = False,
) -> None:
    """Write the page about a run and the `scores` of some images of `dataset` to `path`, or RUN/report.html.

    The data may be other than those trained on, and the run may be an imported network without a log: the
    page says which images were scored, and leaves out what is not known. out_of_fold: each image was
    predicted by that network of several which was not trained on it.
    """
    events = list(read_events(run.log_path))
    if path is not None and not out_of_fold:
        # what was noticed while training, of the images that were scored then, is not about these scores
        events = [event for event in events if event["event"] != "warning"]
    page = replace(
        _of_data(dataset, scores, gallery),
        card=_facts(run, dataset),
        # of a setting that changed on the way, what holds
        settings=list(
            {
                each["path"]: (each["path"], each["value"], each["reason"])
                for each in events
                if each["event"] == "plan"
            }.values()
        ),
        events=events,
    )
    if not run.card.data.imported:
        page = replace(page, **_of_known_training(run, scores, out_of_fold=out_of_fold))
    if _trained_on(run, dataset):
        page = replace(page, **_of_training_data(run, dataset))
    write_report(path or run.report_path, page)


def write_masks_report(dataset: Dataset, scores: Scores, gallery: Gallery, path: Path) -> None:
    """Write the page about `scores` of masks that any tool made for some images of `dataset`."""
    write_report(path, _of_data(dataset, scores, gallery))


def _of_data(dataset: Dataset, scores: Scores, gallery: Gallery) -> ReportData:
    """What can be said without knowing who made the predictions."""
    return ReportData(
        title=dataset.root.name,
        card=Card(data=_short(dataset.root), classes=scores.class_names),
        encoding_rows=[(row.value, row.class_name, row.share, row.images) for row in dataset.table],
        data_notes=dataset.notes,
        scores=scores,
        score_subset=scores.subset,
        selecting_subset=None,
        warnings=verdict(scores),
        worst=gallery.ranked(),
        typical=gallery.typical(_middle(scores)),
        best=gallery.best(),
        samples=_examples(dataset, [image.name for image in scores.images]),
        samples_scored=True,
        scored_data=_short(dataset.root),
    )


def _of_known_training(run: RunFolder, scores: Scores, *, out_of_fold: bool) -> dict[str, Any]:
    """The fields of a `ReportData` that tell what the scored images were to the run.

    A subset may be called what it is not to this run: its images are looked for among those it has used.
    """
    chosen = ["the best weights"]
    if run.card.temperature != 1.0:
        chosen.append("the temperature of its probabilities")
    if run.card.objects.images and scores.objects is not None:
        chosen.append("how objects are found")
    if out_of_fold:
        return {"selecting_subset": scores.subset, "chosen": chosen}
    sides = {run.contents.get(name): side for side in ("val", "train") for name in getattr(run.split, side)}
    uses = Counter(sides.get(image.content, "test") for image in scores.images)
    if not run.contents or set(uses) <= {scores.subset}:
        return {"selecting_subset": "val", "chosen": chosen}
    said = [f"{uses['train']:,} trained the model"] * bool(uses["train"])
    said += [f"{uses['val']:,} chose {listed(chosen)}"] * bool(uses["val"])
    if not said:
        return {}
    of = plural(len(scores.images), "scored image")
    return {"warnings": [f"Of {of}, {listed(said)}: to these, the score is flattering.", *verdict(scores)]}


def _of_training_data(run: RunFolder, dataset: Dataset) -> dict[str, Any]:
    """The fields of a `ReportData` that tell of the data which the run was trained on."""
    card = run.card
    return {
        "title": card.data.name,
        "encoding_rows": card.data.table,
        "data_notes": card.data.notes,
        "split_counts": {"train": card.data.train, "val": card.data.val, "test": card.data.test},
        "split_origin": card.data.split_origin,
        "samples": _examples(dataset, run.split.train),
        "augmentation": augmentation_words(run.plan.augment, dataset.channels),
        "augmented": augmented_patches(dataset, run.split.train, run.plan),
        "samples_scored": False,
    }


def _trained_on(run: RunFolder, dataset: Dataset) -> bool:
    """Whether `dataset` holds the images that the run was trained on, under the names that they had."""
    known, here = run.contents, dataset.contents
    return bool(run.split.train) and all(
        name in here and known.get(name, here[name]) == here[name] for name in run.split.train
    )


def _middle(scores: Scores) -> float | None:
    """The median of the images' main measure."""
    values = [value for _, value in image_values(scores)]
    return median(values) if values else None


def _facts(run: RunFolder, dataset: Dataset) -> Card:
    card = run.card
    facts = Card(
        run=_short(run.path),
        data=_short(dataset.root),
        model=card.network.name,
        options=card.network.options,
        parameters=card.network.parameters,
        classes=card.encoding.names,
        finished=card.training.ended or card.created,
        versions={"uvala": uvala.__version__, "torch": card.torch},
    )
    if card.data.imported:
        return Card(**facts, imported=card.data.imported)
    return Card(
        **facts,
        seconds=card.training.seconds,
        steps=card.training.steps,
        best_step=card.training.best_step,
        device=card.training.device,
        machine=card.training.machine,
        seed=run.plan.seed,
    )


def _examples(dataset: Dataset, names: Sequence[str]) -> list[Example]:
    """Some of the images with these names, evenly spread."""
    samples = dataset.subset(names)
    every = max(1, len(samples) // _SAMPLES)
    return [
        Example(sample.name, dataset.image(sample), dataset.classes(sample))
        for sample in samples[::every][:_SAMPLES]
    ]


def _short(path: Path) -> str:
    """The path as a person in the current folder would type it."""
    here = Path.cwd()
    full = path.resolve()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(path)
