"""Predict the images of a subset and score them, keeping the pictures that a report wants to show."""

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from uvala.arrays import ClassMap
from uvala.data.dataset import Dataset
from uvala.data.sample import Sample
from uvala.evaluation.evaluate import evaluate
from uvala.evaluation.scores import Scores
from uvala.metrics.pixels import confusion_matrix, dice
from uvala.prediction.engine import Predictor
from uvala.report.pages import Case

__all__ = ["Gallery", "score_samples"]

_WORST = 6
_TYPICAL = 3
_MOST_BYTES = 400 * 2**20  # of pictures kept in memory until the report is written


@dataclass
class Gallery:
    """The worst cases seen so far, and a few of all the others. `add` keeps what deserves it."""

    num_classes: int
    worst: list[tuple[float, str, Case]] = field(default_factory=list)
    others: list[Case] = field(default_factory=list)
    seen: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, case: Case) -> None:
        """Look at a case; the worst ones and a random sample of the others stay."""
        self.seen += 1
        rank = -(case.mean_dice if case.mean_dice is not None else 1.0)
        # the smallest item of the heap is the best of the worst: the one to give way
        heapq.heappush(self.worst, (rank, case.name, case))
        room = 1 if self._full else _WORST
        while len(self.worst) > room:
            self._sample(heapq.heappop(self.worst)[2])

    def ranked(self) -> list[Case]:
        """The worst cases, the worst one first."""
        return [case for _, _, case in sorted(self.worst, key=lambda item: item[0], reverse=True)]

    def typical(self, median: float | None) -> list[Case]:
        """Cases nearest to the median score."""
        pool = self.others or self.ranked()
        goal = 1.0 if median is None else median
        distance = [abs((case.mean_dice if case.mean_dice is not None else 1.0) - goal) for case in pool]
        return [pool[index] for index in np.argsort(distance, kind="stable")[:_TYPICAL]]

    @property
    def _full(self) -> bool:
        kept = [*(case for *_, case in self.worst), *self.others]
        return sum(case.image.nbytes + 2 * case.truth.nbytes for case in kept) > _MOST_BYTES

    def _sample(self, case: Case) -> None:
        """Reservoir sampling: each of the others is as likely to be kept."""
        if len(self.others) < 4 * _TYPICAL and not self._full:
            self.others.append(case)
        elif (place := self._random.randrange(self.seen)) < len(self.others):
            self.others[place] = case


def score_samples(
    predictor: Predictor,
    dataset: Dataset,
    samples: Sequence[Sample],
    *,
    subset: str,
    gallery: Gallery | None = None,
    until: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Scores of `samples`, predicted one by one; of those before `until()` turned true, one at least."""

    def cases() -> Iterator[tuple[str, ClassMap, ClassMap]]:
        for done, sample in enumerate(samples):
            if done and until():
                return
            image, truth = dataset.image(sample), dataset.classes(sample)
            prediction = predictor(image)
            if gallery is not None:
                scores = dice(confusion_matrix(prediction.mask, truth, gallery.num_classes))
                known = scores[np.isfinite(scores)]
                gallery.add(
                    Case(
                        sample.name,
                        image,
                        truth,
                        prediction.mask,
                        float(known.mean()) if known.size else None,
                    )
                )
            if progress is not None:
                progress(done + 1, len(samples))
            yield sample.name, prediction.mask, truth

    return evaluate(cases(), predictor.card.encoding.names, subset)
