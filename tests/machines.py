"""Machines that do not exist, for plans that must not depend on the one that tests run on."""

from dataclasses import dataclass

import torch

from uvala.plan.machine import Machine
from uvala.plan.probe import StepCost
from uvala.plan.work import Candidate, work_of


@dataclass(frozen=True)
class FakeMachine:
    """A machine whose training step takes as long as three forward passes, and some time in any case.

    multiply_adds: in a second. slower: what a step takes with a memory format, precision or the compiler,
    relative to plain contiguous float32.
    """

    multiply_adds: float
    memory: int = 16 * 2**30
    kind: str = "cpu"
    overhead: float = 0.005
    bfloat16: bool = False
    slower: tuple[tuple[str, float], ...] = ()

    @property
    def machine(self) -> Machine:
        return Machine(torch.device(self.kind), self.memory, self.bfloat16)

    def probe(self, candidate: Candidate, seconds: float) -> StepCost:
        work, slower = work_of(candidate), dict(self.slower)
        factor = slower.get(candidate.memory_format, 1.0) * slower.get(candidate.precision, 1.0)
        if candidate.compile:
            factor *= slower["compile"]
        time = 3 * candidate.batch * work.multiply_adds / self.multiply_adds
        return StepCost(self.overhead + factor * time, work.memory(candidate.batch))


SLOW_CPU = FakeMachine(3e10, memory=3 * 2**30)
TWO_CORES = FakeMachine(1e11)
GPU = FakeMachine(3e13, memory=24 * 2**30, kind="cuda", overhead=0.01, slower=(("compile", 0.7),))
SMALL_GPU = FakeMachine(5e12, memory=2 * 2**30, kind="cuda", overhead=0.01, slower=(("compile", 1.1),))
