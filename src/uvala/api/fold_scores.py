"""What follows the last fold: objects and scores out of fold, the mean of all folds on the test images."""

from collections.abc import Sequence

import torch

from uvala.api.finishing import Finish, page_seconds, shuffled, tuning_seconds
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
from uvala.plan.budget import Clock
from uvala.prediction.engine import Predictor
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import Progress, read_progress
from uvala.training.stop import StopSignal

__all__ = ["finish_folds"]

_OUT_OF_FOLD = "each image by the network that was not trained on it (out of fold)"


def finish_folds(
    run: RunFolder,
    dataset: Dataset,
    folds: Sequence[tuple[RunFolder, Split]],
    clock: Clock,
    device: torch.device,
    log: EventLog,
    *,
    ended: bool,
) -> Run:
    """Tune, score and report the mean of those folds that have weights. folds: each with its split."""
    ready = [(fold, split) for fold, split in folds if fold.weights_path.is_file()]
    with StopSignal() as stop:
        finish = Finish(run, dataset, device, clock, log, stop, brief=True, ended=ended, page=page_seconds())
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
        if tested:
            scores = finish.score(tested, "test")
    finish.write_training(_together([fold for fold, _ in ready]), finished=ended)
    finish.end(scores)
    return Run(run, str(device))


class _Judges:
    """For each image, the network that was not trained on it."""

    def __init__(self, ready: list[tuple[RunFolder, Split]], device: str) -> None:
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
    validated = [fold.card.training.best_dice for fold in folds]
    by_fold = ", ".join("none" if dice is None else f"{dice:.3f}" for dice in validated)
    dice = "none" if scores.mean_dice is None else f"{scores.mean_dice:.3f}"
    text = f"{_OUT_OF_FOLD}: mean Dice {dice} over {len(scores.images)} images; in validation {by_fold}"
    log("note", text=text)
    card = run.card
    notes = [note for note in card.data.notes if not note.startswith(_OUT_OF_FOLD)]
    data = card.data.model_copy(update={"notes": (text, *notes)})
    run.write_card(card.model_copy(update={"data": data}))


def _together(folds: list[RunFolder]) -> Progress:
    """Where the trainings of all folds are, as one."""
    each = [read_progress(fold) for fold in folds]
    known = [progress.best_dice for progress in each if progress.best_dice is not None]
    return Progress(
        step=sum(progress.step for progress in each),
        waited=sum(progress.waited for progress in each),
        best_dice=sum(known) / len(known) if known else None,
    )
