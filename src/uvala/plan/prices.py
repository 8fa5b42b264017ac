"""What training steps cost: measured while there is time for it, and from then on scaled by their work."""

import math
import time

from uvala.plan.machine import Machine
from uvala.plan.probe import Probe, StepCost, autocast_dtype
from uvala.plan.work import Candidate, work_of

__all__ = ["Prices", "fits"]

# Twice the arithmetic takes a little less than twice the time: large layers use a processor better
_EXPONENT = 0.9
_IN_PARTS = 4 / 3  # of the time: each part goes forward twice, and a backward pass takes two forward ones
_LONGEST = 2.0  # seconds for one candidate; its fastest step is known to a few percent by then


def fits(candidate: Candidate, machine: Machine) -> bool:
    """Whether a training step of it leaves room in the machine's memory, by what its layers put out."""
    half = autocast_dtype(candidate.precision, machine.device) is not None
    at_once = candidate.part.batch
    return work_of(candidate).memory(candidate.batch, at_once=at_once, half=half) <= machine.memory


class Prices:
    """What a step of any candidate costs. It measures at most for `left` seconds, and once in any case.

    measured: what was measured so far. evidence: the same in words, a line each.
    """

    def __init__(self, probe: Probe, machine: Machine, left: float) -> None:
        self._probe = probe
        self._machine = machine
        self.left = left
        self.measured: dict[Candidate, StepCost] = {}
        self.evidence: list[str] = []

    def seconds(self, candidate: Candidate, *, exactly: bool = False, again: bool = False) -> float:
        """Seconds of a step; infinite if it does not fit.

        exactly: measured, if there is any time left; again: then also once more, and the shorter one counts.
        """
        if candidate in self.measured and not (again and self.left > 0):
            return self.measured[candidate].seconds
        if not fits(candidate, self._machine):
            return math.inf
        if candidate.accumulate > 1:
            part = candidate.part
            return _IN_PARTS * candidate.batch / part.batch * self.seconds(part, exactly=exactly)
        if not self.measured or ((exactly or again) and self.left > 0):
            return self.measure(candidate, min(_LONGEST, self.left / 2)).seconds
        return self._scaled(candidate)

    def how_known(self, candidate: Candidate) -> str:
        """Whether the cost of its step was measured."""
        return "measured" if candidate.part in self.measured else "scaled from what was measured"

    def measure(self, candidate: Candidate, seconds: float) -> StepCost:
        """Measure a candidate, for about so many seconds."""
        began = time.monotonic()
        cost = self._probe(candidate, seconds)
        self.left -= time.monotonic() - began
        # whatever else the machine does can only add time
        cost = min(cost, self.measured.get(candidate, cost), key=lambda each: each.seconds)
        self.measured[candidate] = cost
        self.evidence.append(_words(candidate, cost))
        return cost

    @property
    def trouble(self) -> str:
        """What the compiler said where it failed; "" if it did not, or was not tried."""
        return next((cost.trouble for cost in self.measured.values() if cost.trouble), "")

    def _scaled(self, candidate: Candidate) -> float:
        """From the measured candidate that is computed alike, if there is one, and is nearest in its work."""
        own = self._work(candidate)
        ratios = {other: own / self._work(other) for other, cost in self.measured.items() if cost.fits}
        if not ratios:
            return math.inf
        how = _how(candidate)
        alike = [other for other in ratios if _how(other) == how] or list(ratios)
        nearest = min(alike, key=lambda other: abs(math.log(ratios[other])))
        return self.measured[nearest].seconds * ratios[nearest] ** _EXPONENT

    def _work(self, candidate: Candidate) -> float:
        return float(candidate.batch * work_of(candidate).multiply_adds)


def _how(candidate: Candidate) -> tuple[str, str, bool]:
    """How its numbers are computed."""
    return candidate.memory_format, candidate.precision, candidate.compile


def _words(candidate: Candidate, cost: StepCost) -> str:
    options = ", ".join(
        f"{name} {value}" for name, value in candidate.options if name in ("fold", "depth", "width")
    )
    what = f"{candidate.name}{f' ({options})' if options else ''}"
    patches = f"{candidate.batch} patches of {candidate.patch}"
    how = candidate.memory_format.replace("_", " ")
    how += f", {candidate.precision}" if candidate.precision != "auto" else ""
    how += ", compiled" if candidate.compile else ""
    if cost.trouble:
        return f"{what}, {patches}, {how}: torch.compile fails here ({cost.trouble})"
    if not cost.fits:
        return f"{what}, {patches}, {how}: does not fit into the memory"
    memory = f", {cost.memory / 2**20:.0f} MB" if cost.memory else ""
    return f"{what}, {patches}, {how}: {1000 * cost.seconds:.0f} ms a step{memory}"
