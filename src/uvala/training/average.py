"""A running average of the weights, which is what is validated, kept and used.

At a high learning rate the last weights wander around a good place; their average lies nearer to it (Polyak
and Juditsky 1992; exponential, as in Tarvainen and Valpola 2017, arXiv:1703.01780).
"""

import copy

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """The average of a network's weights and buffers over the last steps. model: the averaged network."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after `step` steps."""
        # the first weights are random: they must be forgotten before the average spans 1 / (1 - decay) steps
        decay = min(self.decay, step / (step + 9))
        means, values = self.model.state_dict().values(), model.state_dict().values()
        for mean, value in zip(means, values, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)  # counters of batch norms
