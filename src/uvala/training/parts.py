"""The gradient of a whole batch, worked off in parts that fit into memory.

Summing the gradients of the parts' losses would be another gradient wherever the loss is a ratio of sums over
the batch, as Dice is. So the outputs of all parts are made first, without what a backward pass needs; the
loss over all of them says what gradient each output has; and with it each part goes forward once more and
back. Gao et al. (2021), arXiv:2101.06983. It costs a second forward pass.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["backward_in_parts"]

Outputs = Tensor | Sequence[Tensor]


def backward_in_parts(
    forward: Callable[[Tensor], Outputs],
    loss: Callable[[Outputs], Tensor],
    images: Tensor,
    parts: int,
    *,
    scale: Callable[[Tensor], Tensor],
    seeds: Sequence[int],
    buffers: Sequence[Tensor],
) -> Tensor:
    """The loss of the whole batch [B, C, H, W]; its gradient, scaled, is added to the weights.

    The gradient is that of `loss(forward(images))`, but for layers that look at their batch: they see the
    parts. scale: of the loss before it goes back. seeds: of each part's random numbers, which are the same in
    both passes. buffers: of the network; they change in the first pass alone.
    """
    chunks = images.chunk(parts)
    outputs: list[tuple[Tensor, ...]] = []
    with torch.no_grad():
        for chunk, seed in zip(chunks, seeds, strict=False):  # chunk may make fewer parts
            torch.manual_seed(seed)
            outputs.append(_as_tuple(forward(chunk)))
    several = len(outputs[0]) > 1
    joined = [torch.cat(level).requires_grad_() for level in zip(*outputs, strict=True)]
    value = loss(joined if several else joined[0])
    gradients = torch.autograd.grad(scale(value), joined, allow_unused=True)
    statistics = [buffer.clone() for buffer in buffers]
    begin = 0
    for chunk, seed in zip(chunks, seeds, strict=False):
        torch.manual_seed(seed)
        pairs = [
            (output, gradient[begin : begin + len(chunk)])
            for output, gradient in zip(_as_tuple(forward(chunk)), gradients, strict=True)
            if gradient is not None
        ]
        torch.autograd.backward([output for output, _ in pairs], [part for _, part in pairs])
        begin += len(chunk)
    with torch.no_grad():
        for buffer, before in zip(buffers, statistics, strict=True):
            buffer.copy_(before)
    return value.detach()


def _as_tuple(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
