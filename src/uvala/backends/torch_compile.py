"""PyTorch's own compiler, with the weights as constants. It takes 10 to 40 seconds before the first image."""

import copy
import os
import shutil
import sys
from typing import Any

import torch
from torch import Tensor, nn

from uvala.arrays import Size
from uvala.backends.runtime import Wanted, repeat_facts
from uvala.errors import BackendError

__all__ = ["can_compile", "prepare_compiled"]


class Compiled(nn.Module):
    """A network that is compiled for images of one size: [B, C, H, W] -> [B, K, H, W].

    Others are computed as they come: to compile again for each would take longer than any of them.
    """

    def __init__(self, network: nn.Module, size: Size) -> None:
        super().__init__()
        self.network = network
        self.size = size
        # not a child: it is `network` once more
        vars(self)["compiled"] = torch.compile(network, dynamic=False, options={"freezing": True})
        repeat_facts(self, network)

    def forward(self, image: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, K, H, W]."""
        one_of_its_size = len(image) == 1 and image.shape[2:] == torch.Size(self.size)
        if image.device.type == "meta" or not one_of_its_size:
            return self.network(image)
        return vars(self)["compiled"](image)

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        """Of the network alone, which may then be changed."""
        return copy.deepcopy(self.network, memo)


def can_compile() -> bool:
    """Whether there is a compiler of C++, for what PyTorch writes; it wants one for GPUs, too."""
    if sys.platform == "win32":
        return False  # it needs an environment that is set up by hand
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return any(shutil.which(name) for name in names if name)


def prepare_compiled(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network, compiled at its first image of the tile's size. BackendError without a compiler."""
    if not can_compile():
        raise BackendError(
            found="no C++ compiler",
            expected="one, such as g++, for what torch.compile writes",
            fix="install it, or use another backend",
        )
    return Compiled(network, wanted.tile)
