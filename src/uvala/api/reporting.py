"""What the report of a run shows, gathered from the run folder, the data and the scores."""

from pathlib import Path

import uvala
from uvala.api.scoring import Gallery
from uvala.data.dataset import Dataset
from uvala.evaluation.scores import Scores
from uvala.log import read_events
from uvala.report.pages import Card, Example, ReportData, write_report
from uvala.runs.folder import RunFolder

__all__ = ["write_run_report"]

_SAMPLES = 8


def write_run_report(run: RunFolder, dataset: Dataset, scores: Scores, gallery: Gallery) -> None:
    """Write RUN/report.html."""
    events = list(read_events(run.log_path))
    card = run.card
    write_report(
        run.report_path,
        ReportData(
            title=card.data.name,
            card=_facts(run, dataset),
            encoding_rows=card.data.table,
            data_notes=card.data.notes,
            split_counts={"train": card.data.train, "val": card.data.val, "test": card.data.test},
            split_origin=card.data.split_origin,
            settings=[
                (each["path"], each["value"], each["reason"]) for each in events if each["event"] == "plan"
            ],
            events=events,
            scores=scores,
            score_subset=scores.subset,
            selecting_subset="val",
            worst=gallery.ranked(),
            typical=gallery.typical(scores.median_dice),
            samples=_examples(run, dataset),
        ),
    )


def _facts(run: RunFolder, dataset: Dataset) -> Card:
    card = run.card
    return Card(
        run=_short(run.path),
        data=_short(dataset.root),
        model=card.network.name,
        options=card.network.options,
        parameters=card.network.parameters,
        classes=card.encoding.names,
        seconds=card.training.seconds,
        steps=card.training.steps,
        best_step=card.training.best_step,
        device=card.training.device,
        machine=card.training.machine,
        seed=run.plan.seed,
        finished=card.training.ended or card.created,
        versions={"uvala": uvala.__version__, "torch": card.torch},
    )


def _examples(run: RunFolder, dataset: Dataset) -> list[Example]:
    training = dataset.subset(run.split.train)
    every = max(1, len(training) // _SAMPLES)
    return [
        Example(sample.name, dataset.image(sample), dataset.classes(sample))
        for sample in training[::every][:_SAMPLES]
    ]


def _short(path: Path) -> str:
    """The path as a person in the current folder would type it."""
    here = Path.cwd()
    full = path.resolve()
    return str(full.relative_to(here)) if full.is_relative_to(here) else str(path)
