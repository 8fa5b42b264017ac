"""Networks with all that stands before and behind them: from an image as its file has it to probabilities."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.export.scaling import Scaling
from uvala.models.blocks import crop
from uvala.prediction.ensemble import Member
from uvala.prediction.file_card import MASK
from uvala.runs.inference import activation

__all__ = ["NamedOutputs", "WholeNetwork"]


class WholeNetwork(nn.Module):
    """Images, float32 [B, C, H, W], in units of the file -> maps, float32 [B, N, H, W].

    The maps are the probabilities of the classes and, where the network learnt it, the borders or distances
    of objects, as in `runs.inference.Outputs`; those of several members are averaged. levels: of each image,
    [B, C, 2], as of `Scaling`.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(member.model for member in members)
        self.scalings = nn.ModuleList(Scaling(member.card.normalisation) for member in members)
        self.activations = [
            activation(member.card.network.objects, member.card.temperature) for member in members
        ]
        first, channels = members[0].model, members[0].card.network.in_channels
        self.multiple = int(getattr(first, "multiple", 1))
        self.least = _least(first, channels, self.multiple)

    def forward(self, image: Tensor, levels: Tensor | None = None) -> Tensor:
        """[B, C, H, W] -> [B, N, H, W]."""
        size = (image.shape[-2], image.shape[-1])
        maps: Tensor | None = None
        for network, scaling, activate in zip(self.networks, self.scalings, self.activations, strict=True):
            logits = network(at_least(scaling(image, levels), self.least))
            outputs = activate(logits.float().permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            maps = outputs if maps is None else maps + outputs
        assert maps is not None
        maps = maps / len(self.networks) if len(self.networks) > 1 else maps
        return crop(maps, size)


class NamedOutputs(nn.Module):
    """As `WholeNetwork`, with an output for each thing that a file gives, in their order.

    Probabilities [B, K, H, W], what else the network learnt [B, H, W], the likeliest class, uint8 [B, H, W].
    """

    def __init__(self, network: WholeNetwork, classes: int, outputs: Sequence[str]) -> None:
        super().__init__()
        self.network, self.classes, self.mask = network, classes, MASK in outputs
        self.multiple, self.least = network.multiple, network.least

    def forward(self, image: Tensor, levels: Tensor | None = None) -> tuple[Tensor, ...]:
        """[B, C, H, W] -> the outputs."""
        maps = self.network(image, levels)
        probabilities = maps[:, : self.classes]
        more = [maps[:, place] for place in range(self.classes, maps.shape[1])]
        mask = [probabilities.argmax(dim=1).to(torch.uint8)] if self.mask else []
        return probabilities, *more, *mask


def _least(network: nn.Module, channels: int, multiple: int) -> int:
    """The side that the network pads smaller images to before all else: 1 if it takes them as they are."""
    least = max(multiple, int(getattr(network, "least", 1)), int(getattr(network, "at_least", 1)))
    image = torch.linspace(-1, 1, channels * 2 * 3).view(1, channels, 2, 3)
    with torch.inference_mode():
        alone, padded = network(image), network(at_least(image, least))
    return least if torch.allclose(alone, crop(padded, (2, 3)), rtol=1e-4, atol=1e-5) else 1


def at_least(image: Tensor, side: int) -> Tensor:
    """The image with its last row and column repeated up to `side`, as networks do it themselves.

    Without an `if` about its size, which a graph would have decided for good.
    """
    down, right = (_missing(length, side) for length in image.shape[-2:])
    return F.pad(image, (0, right, 0, down), mode="replicate")


def _missing(length: Any, side: int) -> Any:
    if isinstance(length, Tensor):  # while torch records calls
        return (side - length).clamp(min=0)
    return torch.sym_max(side - length, 0)
