"""The cases of an evaluation that are worth a look: the worst, the best, and some that are like the most."""

import heapq
import random
from dataclasses import dataclass, field

import numpy as np

from uvala.report.content import ShownCase

__all__ = ["Gallery"]

_WORST = 6
_BEST = 3
_TYPICAL = 3
_MOST_BYTES = 400 * 2**20  # of pictures kept in memory until the report is written

Ranked = list[tuple[float, str, ShownCase]]
"""A heap of cases: the rank by which the first one gives way, the name, the case."""


@dataclass
class Gallery:
    """The worst and the best cases seen so far, and a few of all the others. `add` keeps what deserves it."""

    seen: int = 0
    _worst: Ranked = field(default_factory=list)
    _best: Ranked = field(default_factory=list)
    _others: list[ShownCase] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, case: ShownCase) -> None:
        """Look at a case; the worst, the best and a random sample of the others stay."""
        self.seen += 1
        # of the worst ones the best gives way, and of those the worst: what neither keeps is ordinary
        for heap, sign, most in ((self._worst, -1, _WORST), (self._best, 1, _BEST)):
            heapq.heappush(heap, (sign * _score(case), case.name, case))
            if len(heap) <= (1 if self._full else most):
                return
            case = heapq.heappop(heap)[2]
        self._sample(case)

    def ranked(self) -> list[ShownCase]:
        """The worst cases, the worst one first; of few cases the lower half."""
        return self._in_order()[: max(1, min(len(self._worst), self.seen // 2))]

    def best(self) -> list[ShownCase]:
        """The best cases, the best one first; none that is among the worst as well."""
        return self._in_order()[len(self.ranked()) :][::-1][:_BEST]

    def typical(self, median: float | None) -> list[ShownCase]:
        """Cases nearest to the median of the main measure, or of mean Dice where that is what ranks them."""
        pool = self._others or self._in_order()
        goal = 1.0 if median is None else median
        distance = [abs(_score(case) - goal) for case in pool]
        return [pool[index] for index in np.argsort(distance, kind="stable")[:_TYPICAL]]

    def _in_order(self) -> list[ShownCase]:
        """The worst and the best cases, from the worst to the best."""
        worst = sorted(self._worst, key=lambda item: -item[0])
        return [case for *_, case in (*worst, *sorted(self._best, key=lambda item: item[0]))]

    @property
    def _full(self) -> bool:
        kept = [*(case for *_, case in (*self._worst, *self._best)), *self._others]
        return sum(map(_bytes, kept)) > _MOST_BYTES

    def _sample(self, case: ShownCase) -> None:
        """Reservoir sampling: each of the others is as likely to be kept."""
        if len(self._others) < 4 * _TYPICAL and not self._full:
            self._others.append(case)
        elif (place := self._random.randrange(self.seen)) < len(self._others):
            self._others[place] = case


def _score(case: ShownCase) -> float:
    """What ranks a case. Nothing to find, and nothing found, is as good as it gets."""
    known = [value for value in (case.score, case.mean_dice) if value is not None]
    return known[0] if known else 1.0


def _bytes(case: ShownCase) -> int:
    maps = (case.truth, case.prediction, case.true_objects, case.objects)
    return case.image.nbytes + sum(each.nbytes for each in maps if each is not None)
