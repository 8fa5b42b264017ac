"""Randomness as a function of the seed and of what it is for, so that a resume repeats it."""

import numpy as np
import torch

__all__ = ["sample_generator", "step_seed"]

# the sampler draws from [seed, number] and [seed, epoch, 1]: streams of other names are independent of those
_SAMPLE, _STEP = 2, 3


def sample_generator(seed: int, number: int) -> torch.Generator:
    """The CPU's generator for the changes of a training's n-th patch, whatever batch or rank it is in."""
    return torch.Generator().manual_seed(_number(seed, number, _SAMPLE))


def step_seed(seed: int, step: int, rank: int, part: int = 0) -> int:
    """The seed of what a network draws in a step, such as dropout, on one rank, in a part of its batch."""
    return _number(seed, step, _STEP, rank, part)


def _number(*names: int) -> int:
    # of 63 bits: torch takes what fits into a signed integer everywhere
    return int(np.random.SeedSequence(names).generate_state(1, np.uint64)[0] >> 1)
