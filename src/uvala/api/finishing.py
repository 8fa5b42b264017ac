"""After the last step: what validation still decides, scores, report, and the card brought up to date."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

import torch

from uvala.api.preparing import machine_of
from uvala.api.reporting import write_run_report
from uvala.api.scoring import Gallery, score_samples
from uvala.api.tuning import tune_run
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.evaluation.scores import Scores
from uvala.evaluation.tables import write_csv
from uvala.evaluation.verdict import verdict
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.prediction.engine import Predictor
from uvala.report.drawing import Sheet
from uvala.runs.folder import RunFolder
from uvala.training.progress import Progress
from uvala.training.stop import StopSignal

__all__ = ["Finish", "page_seconds", "shuffled", "tuning_seconds"]

# a page took as long as 50 to 75 drawings of `page_seconds`, on three data sets
_DRAWINGS, _MOST_PAGE_SECONDS = 80, 15.0
# how long ways to find objects are compared; of a budget, this share and at least one second
_TUNING_SECONDS, _TUNING_SHARE = 20.0, 0.02
# who presses Ctrl-C wants the result soon, and wants it to be more than one image
_BRIEF_SCORING = 10.0


def page_seconds() -> float:
    """How long the report will take here, by how long some small drawings take, and after loading what draws.

    Measured, because machines, and what else they do, differ by a factor of ten.
    """
    times = []
    for _ in range(4):
        began = time.perf_counter()
        with Sheet("how fast this machine draws") as sheet:
            sheet.axes.plot(range(200), range(200))
            sheet.svg()
        times.append(time.perf_counter() - began)
    # the first one also loads matplotlib
    return min(_DRAWINGS * median(times[1:]), _MOST_PAGE_SECONDS)


def tuning_seconds(clock: Clock) -> float:
    """How long ways to find objects are compared: of a budget a share, and at least one second."""
    return max(1.0, _TUNING_SHARE * clock.budget) if clock.budget else _TUNING_SECONDS


@dataclass(frozen=True)
class Finish:
    """What is done with the best weights of a run.

    brief: a stop, or a resume near the end of its budget, has no time left, and yet its scores must be worth
    something: they get a few seconds. page: seconds that the report will take; scoring ends before them.
    """

    run: RunFolder
    dataset: Dataset
    device: torch.device
    clock: Clock
    log: EventLog
    stop: StopSignal
    brief: bool
    ended: bool
    page: float

    @property
    def _least(self) -> float:
        return _BRIEF_SCORING if self.brief else 0.0

    def tune(self, decided_by: Sequence[Sample], scored: int) -> None:
        """Fit the temperature and how objects are found, on some validation images.

        scored: how many images will be scored after this; they must be left their share of the time.
        """
        tuned = tune_run(
            self.run,
            self.dataset,
            decided_by,
            device=str(self.device),
            seconds=tuning_seconds(self.clock),
            until=self.tuning_limit(len(decided_by), scored),
        )
        self.log("tuned", temperature=tuned.temperature, **tuned.objects.model_dump(mode="json"))

    def tuning_limit(self, deciding: int, scored: int) -> Callable[[], bool]:
        """When predicting images to decide by has to end."""
        share = deciding / (deciding + scored)
        left = (self.clock.remaining - tuning_seconds(self.clock)) * share
        return self._time_limit(max(left, 1.0) if self.ended else self._least / 2)

    def score(self, samples: Sequence[Sample], subset: str) -> Scores:
        """Score the best weights on `samples` for as long as there is time, and write scores and report."""
        gallery = Gallery()
        scores = self.scores(Predictor(self.run, str(self.device)), samples, subset, gallery)
        for sentence in verdict(scores):
            self.log("warning", text=sentence)
        scores.to_json(self.run.scores_path)
        write_csv(scores, self.run.path / "scores.csv")
        write_run_report(self.run, self.dataset, scores, gallery)
        return scores

    def scores(
        self,
        predictor: Predictor,
        samples: Sequence[Sample],
        subset: str,
        gallery: Gallery,
        *,
        predictor_of: Callable[[Sample], Predictor] | None = None,
        share: float = 1.0,
    ) -> Scores:
        """Scores of as many of `samples` as a share of the time that is left allows."""
        log = self.log
        left = max(share * (self.clock.remaining - self.page), self._least)
        scores = score_samples(
            predictor,
            self.dataset,
            shuffled(samples, self.run.plan.seed),
            subset=subset,
            gallery=gallery,
            until=self._time_limit(left if self.ended else self._least),
            progress=lambda done, total: log.tell("scoring", done=done, total=total),
            predictor_of=predictor_of,
        )
        if len(scores.images) < len(samples):
            log("note", text=f"scored {len(scores.images)} of {len(samples)} images, as many as time allowed")
        return scores

    def end(self, scores: Scores, **facts: Any) -> None:
        """Say how it ended."""
        self.log(
            "end",
            finished=self.ended,
            mean_dice=scores.mean_dice,
            main=scores.main,
            main_value=scores.main_value,
            subset=scores.subset,
            scored=len(scores.images),
            report=str(self.run.report_path),
            **facts,
        )

    def write_training(self, progress: Progress, *, finished: bool) -> None:
        """Say in the card how far the training is."""
        card = self.run.card
        done = {
            "finished": finished,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "steps": progress.step,
            "best_step": progress.best_step,
            "best_dice": progress.best_dice,
            "seconds": round(self.clock.elapsed, 2),
            "waited": round(progress.waited, 2),
            "device": str(self.device),
            "machine": machine_of(self.device),
        }
        training = card.training.model_copy(update=done)
        self.run.write_card(card.model_copy(update={"training": training}))

    def _time_limit(self, seconds: float) -> Callable[[], bool]:
        """Whether looking at images has to end: the time is up to the nearest image, or somebody asks now.

        To be called between images.
        """
        stop, began = self.stop, time.monotonic()
        asked = stop.asked
        # after a stop, loading the network must not make the first image the only one
        before = began if self.ended else None

        def over() -> bool:
            nonlocal before
            now = time.monotonic()
            image, before = now - (now if before is None else before), now
            return now + image / 2 > began + seconds or (stop.asked and not asked)

        return over


def shuffled(samples: Sequence[Sample], seed: int) -> list[Sample]:
    """In a random order, so that those for which there is time are a fair sample."""
    order = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))
    return [samples[index] for index in order.tolist()]
