"""What follows the last fold: objects and scores out of fold, the mean of all folds on the test images."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from statistics import stdev

import torch

from uvala.api.finishing import Finish, page_seconds, shuffled, tuning_seconds
from uvala.api.fold_times import has_begun, is_finished
from uvala.api.gallery import Gallery
from uvala.api.reporting import write_run_report
from uvala.api.run import Run
from uvala.api.tuning import MOST_IMAGES, tune_folds
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.data.splits import Split
from uvala.evaluation.scores import Scores
from uvala.evaluation.tables import write_csv
from uvala.evaluation.verdict import verdict
from uvala.log import EventLog
from uvala.plan.budget import LEAST, Clock
from uvala.prediction.engine import Predictor
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import read_progress
from uvala.training.progress import Progress
from uvala.training.stop import StopSignal

__all__ = ["finish_folds", "notes_of_data"]

_OUT_OF_FOLD = "each image by the network that was not trained on it (out of fold)"


def finish_folds(
    run: RunFolder,
    dataset: Dataset,
    folds: Sequence[tuple[RunFolder, Split]],
    clock: Clock,
    device: torch.device,
    log: EventLog,
    *,
    stop: StopSignal,
    failed: Collection[RunFolder] = (),
) -> Run:
    """Tune, score and report the mean of those folds whose weights a validation has chosen.

    folds: each with its split. stop: one that was asked for before is of the folds, and leaves them unended.
    failed: folds that went wrong; there is as much time to score the others as if they had not.
    """
    ready = [(fold, split) for fold, split in folds if fold.has_chosen_weights]
    together = _together([fold for fold, _ in ready])
    ended = not stop.asked and all(is_finished(fold) for fold, _ in folds)
    in_time = not stop.asked and all(is_finished(fold) or fold in failed for fold, _ in folds)
    page = page_seconds() if clock.budget else 0.0
    finish = Finish(run, dataset, device, clock, log, stop, brief=True, ended=in_time, page=page)
    finish.write_training(together, finished=False)
    if not ended:
        log("warning", text=_unended(run, [fold for fold, _ in folds], clock, failed))
    if ready:
        scores = _score(run, dataset, ready, finish)
        finish.write_training(together, finished=ended)
        replace(finish, ended=ended).end(scores)
    return Run(run, str(device))


def _unended(run: RunFolder, folds: Sequence[RunFolder], clock: Clock, failed: Collection[RunFolder]) -> str:
    """What a stop, trouble, or the end of the time has left undone, in a sentence."""
    missing = [
        f"{fold.path.name} ({'went wrong' if fold in failed else _why_missing(fold)})"
        for fold in folds
        if not fold.has_chosen_weights
    ]
    over = clock.remaining < LEAST and not all(map(has_begun, folds))
    going_on = f"uvala train --resume {run.path}{' --budget +10m' * over} goes on"
    if not missing:
        return f"not all folds were trained and scored to their end; {going_on}"
    return f"missing from the mean of {len(folds)} folds: {', '.join(missing)}; {going_on}"


def _why_missing(fold: RunFolder) -> str:
    return "stopped before its first validation" if has_begun(fold) else "not begun"


def _score(
    run: RunFolder, dataset: Dataset, ready: Sequence[tuple[RunFolder, Split]], finish: Finish
) -> Scores:
    """Scores of the test images if there are any, else out of fold; all is written."""
    device, clock, log = finish.device, finish.clock, finish.log
    judges = _Judges(ready, str(device))
    out_of_fold = dataset.subset(judges.fold_of)
    tested = dataset.subset(run.split.test)
    decided_by = shuffled(out_of_fold, run.plan.seed)[:MOST_IMAGES]
    tuned = tune_folds(
        run,
        dataset,
        decided_by,
        predictor_of=judges,
        seconds=tuning_seconds(clock),
        until=finish.tuning_limit(len(decided_by), len(out_of_fold) + len(tested)),
    )
    log("tuned", temperature=tuned.temperature, **tuned.objects.model_dump(mode="json"))
    judges.look_for_objects_as(tuned)
    gallery = Gallery()
    scores = finish.scores(
        judges.predictors[0],  # in what the folds share, any speaks for all
        out_of_fold,
        "val",
        gallery,
        predictor_of=judges,
        share=len(out_of_fold) / (len(out_of_fold) + len(ready) * len(tested)),
    )
    _tell(run, scores, [fold for fold, _ in ready], log)
    folder = run.path / "out-of-fold" if tested else run.path
    scores.to_json(folder / "scores.json")
    write_csv(scores, folder / "scores.csv")
    for sentence in verdict(scores):
        log("warning", text=sentence)
    write_run_report(run, dataset, scores, gallery, folder / "report.html", out_of_fold=True)
    del judges  # the mean of all loads these networks again
    return finish.score(tested, "test") if tested else scores


class _Judges:
    """For each image, the network that was not trained on it."""

    def __init__(self, ready: Sequence[tuple[RunFolder, Split]], device: str) -> None:
        self.predictors = [Predictor(fold, device) for fold, _ in ready]
        self.fold_of = {name: place for place, (_, split) in enumerate(ready) for name in split.val}

    def __call__(self, sample: Sample) -> Predictor:
        return self.predictors[self.fold_of[sample.name]]

    def look_for_objects_as(self, card: Card) -> None:
        """Find objects as a card says, whatever the folds found best for themselves."""
        for predictor in self.predictors:
            predictor.card = predictor.card.model_copy(update={"objects": card.objects})


def _tell(run: RunFolder, scores: Scores, folds: list[RunFolder], log: EventLog) -> None:
    """Say the scores out of fold in the log, and keep them in the card for whoever reads the page."""
    validated = [read_progress(fold).best_dice for fold in folds]
    by_fold = ", ".join("none" if dice is None else f"{dice:.3f}" for dice in validated)
    dice = "none" if scores.mean_dice is None else f"{scores.mean_dice:.3f}"
    text = f"{_OUT_OF_FOLD}: mean Dice {dice} over {len(scores.images)} images; in validation {by_fold}"
    known = [dice for dice in validated if dice is not None]
    if len(known) > 1:
        text += f", a standard deviation of {stdev(known):.3f} between the parts"
    log("note", text=text)
    card = run.card
    data = card.data.model_copy(update={"notes": (text, *notes_of_data(card))})
    run.write_card(card.model_copy(update={"data": data}))


def notes_of_data(card: Card) -> tuple[str, ...]:
    """What a card says of the data, without what was found out of fold."""
    return tuple(note for note in card.data.notes if not note.startswith(_OUT_OF_FOLD))


def _together(folds: list[RunFolder]) -> Progress:
    """Where the trainings of all folds are, as one."""
    each = [read_progress(fold) for fold in folds]
    known = [progress.best_dice for progress in each if progress.best_dice is not None]
    return Progress(
        step=sum(progress.step for progress in each),
        waited=sum(progress.waited for progress in each),
        best_dice=sum(known) / len(known) if known else None,
    )
