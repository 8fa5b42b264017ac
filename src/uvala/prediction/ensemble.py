"""Several networks as one: the mean of their probabilities.

Each member's probabilities are calibrated by its own temperature, which was fitted on images that it was not
trained on. The mean has none of its own: folds together have seen every image that one could be fitted on.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from uvala.arrays import ImageArray
from uvala.errors import RunError
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder
from uvala.runs.inference import Outputs, predict_outputs

__all__ = ["Member", "load_members", "mean_outputs", "member_outputs", "member_runs", "require_alike"]


class Member(NamedTuple):
    """A network in eval mode, and the card that says how to use it."""

    model: nn.Module
    card: Card


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


def member_outputs(
    member: Member,
    image: ImageArray,
    device: torch.device,
    *,
    spread: bool = False,
    on_blended: Callable[[str], None] | None = None,
) -> Outputs:
    """What one network says about an image [C, H, W] in the units of its file."""
    model, card = member
    return predict_outputs(
        model,
        image,
        card.normalisation,
        card.network,
        card.tiles,
        device,
        card.temperature,
        card.test_time,
        spread=spread,
        on_blended=on_blended,
    )


def mean_outputs(outputs: Sequence[Outputs]) -> Outputs:
    """The mean of what several networks say about one image, map by map; all of them have the same maps."""
    if len(outputs) == 1:
        return outputs[0]

    def mean(maps: Iterator[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
        known = [each for each in maps if each is not None]
        return np.mean(known, axis=0, dtype=np.float32) if known else None

    probabilities = mean(each.probabilities for each in outputs)
    assert probabilities is not None
    return Outputs(
        probabilities,
        borders=mean(each.borders for each in outputs),
        distance=mean(each.distance for each in outputs),
        entropy=mean(each.entropy for each in outputs),
    )


def _traits(run: RunFolder) -> str:
    """What networks must share to be averaged."""
    card = run.card
    return f"{card.network.in_channels} channels and the classes {', '.join(card.encoding.names)}"
