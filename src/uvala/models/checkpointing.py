"""Gradient checkpointing: a stage's inner activations are computed again on the way back, not kept.

Chen et al. (2016), arXiv:1604.06174. A network that can do it has, in its class body,

    checkpointing = False
    use_checkpointing = use_checkpointing

and calls its stages as `run(self, stage, x)` in place of `stage(x)`. A stage may be a function of several
modules; it must not be one that reads a loop's variable, since it is called again after the loop.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

__all__ = ["CanCheckpoint", "call", "run", "use_checkpointing"]


class CanCheckpoint(Protocol):
    """A network with a switch for checkpointing."""

    checkpointing: bool
    training: bool

    def modules(self) -> Iterator[nn.Module]:
        """All its parts."""


N = TypeVar("N", bound=CanCheckpoint)


def use_checkpointing(self: N, enabled: bool = True) -> N:
    """Turn gradient checkpointing on (or off) and return the network: less memory, about a third more time.

    Weights, gradients and the statistics of batch norms are those of a training without it.
    """
    self.checkpointing = enabled
    return self


def call(stage: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """`stage(*inputs)`: what a part calls its stages through that no network gave `partial(run, network)`."""
    return stage(*inputs)


def run(network: CanCheckpoint, stage: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """`stage(*inputs)`, checkpointed if `network` is in training and was asked to."""
    if not (network.checkpointing and network.training and torch.is_grad_enabled()):
        return stage(*inputs)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _without_statistics(network)

    result: Tensor = checkpoint(stage, *inputs, use_reentrant=False, context_fn=contexts)
    return result


@contextmanager
def _without_statistics(network: CanCheckpoint) -> Iterator[None]:
    """Batch norms leave their running statistics alone: the first pass has counted this batch already."""
    # by a momentum of zero: without statistics a norm would save other tensors than in the first pass, which
    # torch takes for a mistake
    norms = [each for each in network.modules() if isinstance(each, nn.BatchNorm2d)]
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum, norm.num_batches_tracked = momentum, count
