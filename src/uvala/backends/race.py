"""Several runtimes and one image, in turn: whatever else the machine does hits them alike."""

import time
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from uvala.backends.agreement import Agreement, compare

__all__ = ["agreements_of", "race"]


@torch.inference_mode()
def agreements_of(
    modules: Mapping[str, nn.Module], reference: nn.Module, image: Tensor
) -> dict[str, Agreement]:
    """How far each is from the reference; afterwards each has computed an image of that size."""
    expected = reference(image)
    return {name: compare(expected, module(image)) for name, module in modules.items()}


@torch.inference_mode()
def race(modules: Mapping[str, nn.Module], image: Tensor, *, seconds: float, rounds: int) -> dict[str, float]:
    """The shortest time of each for that image, in seconds: the one that least disturbed.

    seconds: of all together, after which no further round begins. rounds: at most, after one that does not
    count.
    """
    times: dict[str, list[float]] = {name: [] for name in modules}
    for module in modules.values():
        _time(module, image)
    began = time.perf_counter()
    for number in range(rounds):
        if number and time.perf_counter() - began > seconds:
            break
        for name, module in modules.items():
            times[name].append(_time(module, image))
    return {name: min(each) for name, each in times.items()}


def _time(module: nn.Module, image: Tensor) -> float:
    began = time.perf_counter()
    module(image)
    if image.device.type == "cuda":
        torch.cuda.synchronize(image.device)
    return time.perf_counter() - began
