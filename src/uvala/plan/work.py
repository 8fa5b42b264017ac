"""What a training step of a network takes in arithmetic and memory: counted, nothing is computed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from uvala.models.catalog import create_model, model_config, without_pretrained
from uvala.models.layout import Layout

__all__ = ["Candidate", "Work", "work_of"]

_NUMBER = 4  # bytes of a float32
_COPIES = 5  # of each weight: itself, gradient, two moments, running average
# Peak over the outputs of all layers, measured with AdamW on a CPU: 0.7 (resnet34) to 1.34 (unet, fold 2)
_PEAK = 1.4
_LOSS_MAPS = 4  # of the size of the logits: probabilities, target, their product, a gradient


@dataclass(frozen=True)
class Candidate:
    """A training step that may be taken: which network on which patches, computed how.

    options: of the network, as sorted pairs without those at their defaults, so that equal networks are
    equal; `with_options` takes a mapping. accumulate: parts that the batch is worked off in.
    """

    name: str
    channels: int
    logits: int
    patch: int
    batch: int
    options: tuple[tuple[str, Any], ...] = ()
    memory_format: Layout = "contiguous"
    compile: bool = False
    precision: str = "auto"
    accumulate: int = 1

    @property
    def part(self) -> "Candidate":
        """What is worked off at once: a step of fewer patches."""
        parts = min(self.accumulate, self.batch)
        return replace(self, batch=math.ceil(self.batch / parts), accumulate=1)

    def with_options(self, options: Mapping[str, Any]) -> "Candidate":
        """The same with these options in place of its own of that name; weights of others are left out."""
        merged = {**dict(self.options), **without_pretrained(options)}
        fields = model_config(self.name).model_fields
        known = {name: tuple(value) if isinstance(value, list) else value for name, value in merged.items()}
        kept = {
            name: value
            for name, value in known.items()
            if name not in fields or fields[name].get_default() != value
        }
        return replace(self, options=tuple(sorted(kept.items())))

    def network(self) -> nn.Module:
        """The network, with fresh weights."""
        return create_model(
            self.name, in_channels=self.channels, num_classes=self.logits, **dict(self.options)
        )


@dataclass(frozen=True)
class Work:
    """multiply_adds: of the forward pass of one patch. outputs: numbers that its layers put out.

    weights: of the network. maps: numbers of its logits.
    """

    multiply_adds: int
    outputs: int
    weights: int
    maps: int

    def memory(self, batch: int, *, at_once: int | None = None, half: bool = False) -> int:
        """Bytes that a training step of such a batch takes, at most.

        at_once: patches that the layers see together, if not all; the loss sees all. half: outputs of layers
        are of half precision.
        """
        seen = batch if at_once is None else at_once
        outputs = seen * _PEAK * self.outputs / (2 if half else 1)
        return int(_NUMBER * (outputs + batch * _LOSS_MAPS * self.maps + _COPIES * self.weights))


def work_of(candidate: Candidate) -> Work:
    """The work of a candidate's network on one patch; a tenth of a second for a network that is new to it."""
    return _work(
        replace(candidate, batch=1, memory_format="contiguous", compile=False, precision="auto", accumulate=1)
    )


@cache
def _work(candidate: Candidate) -> Work:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        model = candidate.network().eval()
        image = torch.empty(1, candidate.channels, candidate.patch, candidate.patch)
    outputs = 0

    def note(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal outputs
        outputs += output.numel() if isinstance(output, Tensor) else 0

    for module in model.modules():
        if not list(module.children()):
            module.register_forward_hook(note)
    flops = FlopCounterMode(display=False)
    with torch.no_grad(), flops:
        model(image)
    return Work(
        multiply_adds=int(flops.get_total_flops()) // 2,
        outputs=outputs,
        weights=sum(parameter.numel() for parameter in model.parameters()),
        maps=candidate.logits * candidate.patch**2,
    )
