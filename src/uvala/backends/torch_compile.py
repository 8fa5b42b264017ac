"""PyTorch's own compiler, with the weights as constants. It takes 10 to 40 seconds for each size of image."""

import copy
import os
import shutil
import sys
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from uvala.backends.agreement import compare, noise
from uvala.backends.runtime import Wanted, repeat_facts, require_close
from uvala.errors import BackendError

__all__ = ["can_compile", "prepare_compiled"]

_OFTEN = 3  # times that a shape has come when it is compiled for: of a folder of images, most have one size
_SHAPES = 4  # for which it is done, at most; PyTorch itself gives up after 8


class Compiled(nn.Module):
    """A network that is compiled for images of some shapes: [B, C, H, W] -> [B, K, H, W].

    These are `shape` and those that come often. Others are computed as they come: to compile for each would
    take longer than any of them.
    """

    in_parts = False  # what is compiled computes images whole; see `tiling.demand`

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        self.shapes = {shape}
        self.came: Counter[tuple[int, ...]] = Counter()
        # not a child: it is `network` once more
        vars(self)["compiled"] = torch.compile(network, dynamic=False, options={"freezing": True})
        repeat_facts(self, network)

    def forward(self, image: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, K, H, W]."""
        if image.device.type == "meta" or not self._is_worth_it(tuple(image.shape)):
            return self.network(image)
        # one order of memory: for another one it would compile again
        return vars(self)["compiled"](image.clone(memory_format=torch.channels_last))

    def _is_worth_it(self, shape: tuple[int, ...]) -> bool:
        if shape not in self.shapes and len(self.shapes) < _SHAPES:
            self.came[shape] += 1
            if self.came[shape] == _OFTEN:
                self.shapes.add(shape)
        return shape in self.shapes

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Module:
        """Of the network alone, which may then be changed."""
        return copy.deepcopy(self.network, memo)


def can_compile() -> bool:
    """Whether there is a compiler of C++, for what PyTorch writes; it wants one for GPUs, too."""
    if sys.platform == "win32":
        return False  # it needs an environment that is set up by hand
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return any(shutil.which(name) for name in names if name)


@torch.inference_mode()
def prepare_compiled(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network, compiled for one image of the tile's size. BackendError where that cannot be."""
    if not can_compile():
        raise BackendError(
            found="no C++ compiler",
            expected="one, such as g++, for what torch.compile writes",
            fix="install it, or use another backend",
        )
    shape = (1, wanted.in_channels, *wanted.tile)
    image = noise(*shape).to(next(network.parameters(), torch.empty(0)).device)
    module = Compiled(network, shape)
    # here rather than at the first image, so that a compiler that fails is known in time
    require_close(compare(network(image), module(image)), "compile", network)
    return module.eval()
