"""The settings that score best on images whose truth is known: a small search that stops on time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uvala.arrays import LabelMap
from uvala.config import override
from uvala.errors import ConfigError
from uvala.instances.components import connected_components
from uvala.instances.config import Method, ObjectConfig
from uvala.instances.decode import Maps, close_clumps, require_maps, seed_map, separate, tidy

__all__ = ["Case", "Score", "Tuned", "tune"]

Case = tuple[Maps, LabelMap]
"""What the network says of an image, and its true objects."""

Score = Callable[[Sequence[LabelMap], Sequence[LabelMap]], float]
"""How good the objects of all images are, given with the true ones in the same order; higher is better."""

_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_GRIDS: dict[str, tuple[float, ...]] = {
    "threshold": _THRESHOLDS,
    "seed_threshold": (*_THRESHOLDS, 0.95, 0.98),
    "seed_depth": (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0),
    "smoothing": (0.0, 1.0, 2.0, 4.0),
}
_USED: dict[Method, tuple[str, ...]] = {
    "components": ("threshold",),
    "watershed": ("threshold", "seed_depth"),
    # seeds first: with those at the threshold itself, it is a matter of components
    "probability": ("seed_threshold", "threshold", "smoothing"),
    "borders": ("threshold", "seed_threshold", "smoothing"),
    "distance": ("threshold", "seed_threshold", "smoothing"),
}
_SIZE_SHARES = (0.0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4)  # of the median true object, for sizes and holes
_NOTICEABLE = 1e-9  # less than that is how the summation was ordered


@dataclass(frozen=True)
class Tuned:
    """The best settings found, and what they are worth on the images that they were chosen on.

    score, base_score: of `config` and of the settings that the search began with; the first is never lower,
    unless both are NaN. tried: settings that were scored. finished: False if time ran out before the search
    was through.
    """

    config: ObjectConfig
    score: float
    base_score: float
    tried: int
    finished: bool


def tune(
    cases: Sequence[Case],
    score: Score,
    base: ObjectConfig,
    *,
    seconds: float,
    methods: Sequence[Method] | None = None,
) -> Tuned:
    """The best of the settings around `base` that a search of `seconds` finds on images with known objects.

    cases: maps and true objects (int [H, W], 0 background) of at least one image. score: of all images at
    once, higher is better; NaN counts as the worst. Tuned are the method and the fields of `ObjectConfig`
    that it reads: thresholds, seed_depth, smoothing, min_size, max_hole; object_class, connectivity and
    border_objects stay. methods: those to compare beside that of `base`; None: all whose maps every image
    has. One field is changed at a time, as long as that helps: first of the method that does best with the
    values of `base`, then of the others. `base` is always scored; after that the search stops before the
    first image or setting that would begin later than `seconds` after its start. The objects of all images
    are kept in memory for one setting at a time. Given enough time the result is always the same. Of equal
    scores `base` wins, then its method, then the simpler method, then the value nearest to that of `base`.

    Choose on validation images: a score on images that settings were chosen on flatters.
    Raises ConfigError without images or if `base` needs a map that one of them does not have, ShapeError for
    maps that `find_objects` refuses.
    """
    if not cases:
        raise ConfigError(
            found="no image to tune on",
            expected="at least one with true objects",
            fix="give validation images",
        )
    for maps, _ in cases:
        require_maps(maps, base)
    search = _Search(cases, score, base, methods, time.monotonic() + seconds)
    base_score = search.score_in_time(base, unlimited=True)
    try:
        _search_all(search, base)
    except _TimeOver:
        finished = False
    else:
        finished = True
    return Tuned(search.best, search.best_score, base_score, len(search.scores), finished)


class _TimeOver(Exception):
    """The search has to stop; never leaves this module."""


class _Search:
    """Scores settings, each once, and remembers the best."""

    def __init__(
        self,
        cases: Sequence[Case],
        score: Score,
        base: ObjectConfig,
        methods: Sequence[Method] | None,
        end: float,
    ) -> None:
        self.maps = [maps for maps, _ in cases]
        self.truths = [truth for _, truth in cases]
        self.methods = _methods(self.maps, base, methods)
        self.score = score
        self.end = end
        self.scores: dict[ObjectConfig, float] = {}
        self.best = base
        self.best_score = float("nan")
        # the last objects before filtering, since sizes are tried one after the other
        self._kept: tuple[ObjectConfig | None, list[LabelMap]] = (None, [])

    def score_in_time(self, config: ObjectConfig, *, unlimited: bool = False) -> float:
        """The score of all images; raises _TimeOver at its end unless `unlimited`."""
        if config not in self.scores:
            end = float("inf") if unlimited else self.end
            found = [tidy(labels, config) for labels in self._separated(config, end)]
            self.scores[config] = float(self.score(found, self.truths))
            self._remember(config, self.scores[config])
        return self.scores[config]

    def _remember(self, config: ObjectConfig, score: float) -> None:
        simpler = self.methods.index(config.method) < self.methods.index(self.best.method)
        as_good = not _better(self.best_score, score)
        if _better(score, self.best_score) or (simpler and as_good):
            self.best, self.best_score = config, score

    def _separated(self, config: ObjectConfig, end: float) -> list[LabelMap]:
        unfiltered = _without_filters(config)
        if self._kept[0] != unfiltered:
            labels = []
            for maps in self.maps:
                if time.monotonic() > end:
                    raise _TimeOver
                clumps = connected_components(maps.foreground > config.threshold, config.connectivity)
                labels.append(separate(close_clumps(clumps, config), seed_map(maps, config), config))
            self._kept = (unfiltered, labels)
        elif time.monotonic() > end:
            raise _TimeOver
        return self._kept[1]


def _search_all(search: _Search, base: ObjectConfig) -> None:
    starts = [_with(base, method=method) for method in search.methods]
    for start in starts:
        search.score_in_time(start)
    sizes = _sizes(search.truths)
    # sorted is stable: of equally good methods the first, which is that of `base`, then the simpler one
    for start in sorted(starts, key=lambda config: -_rank(search.scores[config])):
        _climb(search, start, sizes)


def _climb(search: _Search, start: ObjectConfig, sizes: tuple[int, ...]) -> None:
    """Change one field at a time, until none makes the score better."""
    best, before = start, None
    while best != before:
        before = best
        for name, values in _fields(start, sizes):
            for value in values:
                candidate = _with(best, **{name: value})
                if _better(search.score_in_time(candidate), search.scores[best]):
                    best = candidate


def _fields(start: ObjectConfig, sizes: tuple[int, ...]) -> Iterator[tuple[str, list[float]]]:
    """Each field that the method reads with the values to try, those near its value in `start` first."""
    grids: dict[str, Sequence[float]] = {name: _GRIDS[name] for name in _USED[start.method]}
    for name, values in (grids | {"min_size": sizes, "max_hole": sizes}).items():
        own = getattr(start, name)
        yield name, sorted({*values, own}, key=lambda value, own=own: (abs(value - own), value))  # type: ignore[misc]


def _methods(maps: Sequence[Maps], base: ObjectConfig, wanted: Sequence[Method] | None) -> list[Method]:
    """The method of `base`, then the wanted ones for which every image has the maps, the simpler first."""
    usable: list[Method] = ["components", "watershed", "probability"]
    usable += ["borders"] if all(each.borders is not None for each in maps) else []
    usable += ["distance"] if all(each.distance is not None for each in maps) else []
    chosen = [method for method in usable if wanted is None or method in {*wanted, base.method}]
    return sorted(chosen, key=lambda method: method != base.method)


def _sizes(truths: Sequence[LabelMap]) -> tuple[int, ...]:
    """Sizes to try, in pixels: shares of the median true object."""
    areas = [np.unique(truth[truth > 0], return_counts=True)[1] for truth in truths]
    together = np.concatenate(areas)
    median = float(np.median(together)) if together.size else 0.0
    return tuple(sorted({round(share * median) for share in _SIZE_SHARES}))


def _without_filters(config: ObjectConfig) -> ObjectConfig:
    """What the objects depend on before `tidy`: settings that differ in nothing else share them."""
    holes_matter = config.method == "watershed"
    changes: dict[str, Any] = {"min_size": 0} if holes_matter else {"min_size": 0, "max_hole": 0}
    return _with(config, **changes)


def _with(config: ObjectConfig, **changes: Any) -> ObjectConfig:
    return override(config, changes, where="the search")


def _rank(score: float) -> float:
    return float("-inf") if np.isnan(score) else score


def _better(score: float, than: float) -> bool:
    return _rank(score) > _rank(than) + _NOTICEABLE
