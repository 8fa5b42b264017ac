"""Several networks as one: the mean of their probabilities.

Each member's probabilities are calibrated by its own temperature, which was fitted on images that it was not
trained on. The mean has none of its own: folds together have seen every image that one could be fitted on.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from uvala.errors import RunError
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder
from uvala.runs.inference import Outputs, Use

__all__ = ["Member", "load_members", "mean_outputs", "member_runs", "require_alike"]


class Member(NamedTuple):
    """A network in eval mode, and the card that says how to use it."""

    model: nn.Module
    card: Card

    def on(self, device: torch.device) -> Use:
        """The network as the card says, on the device where it lies."""
        card = self.card
        return Use(
            self.model,
            card.network,
            card.normalisation,
            card.tiles,
            device,
            card.temperature,
            card.test_time,
        )


def member_runs(run: RunFolder) -> tuple[RunFolder, ...]:
    """The run itself, or those of its folds whose weights were chosen; RunError if there is none."""
    runs = run.chosen_members if run.card.members else (run,)
    if not runs:
        raise RunError(
            found=f"{run.path}, none of whose {len(run.card.members)} folds has chosen its weights yet",
            expected="one fold that has been validated once",
            fix=f"go on with `uvala train --resume {run.path}`",
        )
    return runs


def load_members(run: RunFolder, device: torch.device) -> tuple[Member, ...]:
    """The networks of `member_runs`; RunError as there."""
    # the format that convolutions like best in inference; in training it would be slower
    return tuple(
        Member(each.model(device).to(memory_format=torch.channels_last), each.card)
        for each in member_runs(run)
    )


def require_alike(runs: Sequence[RunFolder]) -> None:
    """RunError if the networks of several runs do not speak of the same channels and classes."""
    first = runs[0]
    for other in runs[1:]:
        if _traits(other) != _traits(first):
            raise RunError(
                found=f"{other.path}, a network for {_traits(other)}",
                expected=f"one for {_traits(first)}, as {first.path}",
                fix="average runs that were trained on data of one kind",
            )


def mean_outputs(outputs: Iterable[Outputs]) -> Outputs:
    """The mean of what several networks say about one image, map by map; all of them have the same maps.

    Outputs that come one by one are not held: memory takes the sum and one of them.
    """
    several = iter(outputs)
    total, count = next(several), 1
    for said in several:
        total, count = total.by_map(np.add, said), count + 1
    return total if count == 1 else total.by_map(lambda values: values / np.float32(count))


def _traits(run: RunFolder) -> str:
    """What networks must share to be averaged."""
    card = run.card
    learnt = card.network.objects
    besides = "" if learnt == "classes" else f", besides them {learnt} of objects"
    return f"{card.network.in_channels} channels and the classes {', '.join(card.encoding.names)}{besides}"
