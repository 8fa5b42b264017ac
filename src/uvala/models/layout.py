"""The order of a tensor's numbers in memory, layer by layer: on a CPU no single order is the fastest.

Channels last (the channels of a pixel side by side) suits layers of few channels, whose vectors it fills;
wide layers are as fast or faster contiguous. Without AVX-512 the gradient of a kernel is slow channels last.
A 3x3 convolution, a batch of 2, on one core of an AMD Zen 4 with memory that is kept (`training.allocator`),
in milliseconds contiguous / channels last:

                                      forward     of the input    of the kernel
    16 channels, 256x256, AVX-512     9.6 / 6.4     9.8 / 6.6        9.0 / 6.3
    64 channels, 256x256, AVX-512      94 / 87       99 / 86         113 / 94
                          AVX2         98 / 89       99 / 90         131 / 604
    128 channels, 128x128, AVX-512     89 / 86       93 / 87         107 / 124
    256 channels, 64x64, AVX2          91 / 99       90 / 102        122 / 265

To take the gradients of the kernels alone from contiguous copies, or as sums of matrix products, was tried
and gained nothing: the copies cost what they bring.

Which layer is which is a rule, not a measurement at each start: another order rounds otherwise, and a
training that goes on after a stop must repeat what it would have done.
"""

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Layout", "Order", "best_order", "use_layout"]

Layout = Literal["contiguous", "channels_last", "mixed"]
Order = Literal["contiguous", "channels_last"]
Convolution = nn.Conv2d | nn.ConvTranspose2d

# channels, of input and output alike, from which a layer stays contiguous; at 16 to 256 pixels a side
_WIDE, _WIDE_WITHOUT_AVX512, _WIDE_TRANSPOSED = 128, 32, 64


def use_layout(model: nn.Module, layout: Layout) -> nn.Module:
    """`model`, changed in place so that its convolutions run in that order of memory; it is also returned.

    channels_last: all but convolutions with a stride. mixed: each layer as `best_order` says; on a GPU,
    channels last. Outputs and gradients are those of the plain network up to rounding, and parameters, their
    names and, on a CPU, their order in memory stay as they are. Copies of the model (`copy.deepcopy`) do as
    it does.
    """
    if any(parameter.device.type != "cpu" for parameter in model.parameters()):
        order = torch.contiguous_format if layout == "contiguous" else torch.channels_last
        return model.to(memory_format=order)
    classes = _PLAIN if layout == "contiguous" else _OURS
    for module in model.modules():
        # grouped convolutions have no order that is the faster one
        if type(module) in classes and (module.groups == 1 or _strided(module)):
            # by the class, as torch's own parametrisations do it: the module keeps its parameters and hooks
            module.__class__ = classes[type(module)]
        if isinstance(module, _Conv2d | _ConvTranspose2d):
            fixed = layout == "channels_last" and not _strided(module)
            module.order = "channels_last" if fixed else best_order(module)
    return model


def best_order(convolution: Convolution, capability: str | None = None) -> Order:
    """In which order a layer trains fastest, as measured.

    capability: of the CPU, as `torch.backends.cpu.get_cpu_capability` names it, which is the default.
    """
    if _strided(convolution):
        return "contiguous"
    if convolution.kernel_size == (1, 1):
        return "channels_last"
    wide = _WIDE
    if isinstance(convolution, nn.ConvTranspose2d):
        wide = _WIDE_TRANSPOSED
    elif (capability or torch.backends.cpu.get_cpu_capability()) != "AVX512":
        wide = _WIDE_WITHOUT_AVX512
    return "contiguous" if min(convolution.in_channels, convolution.out_channels) >= wide else "channels_last"


def _strided(convolution: nn.Module) -> bool:
    # torch 2.15 with AVX-512: channels last, the gradient of a 1x1 kernel with a stride writes beyond its
    # memory where there are few channels (4 to 8 at 48x48 crash malloc). Larger kernels are safe, and no
    # slower contiguous.
    return isinstance(convolution, nn.Conv2d) and convolution.stride != (1, 1)


class _Conv2d(nn.Conv2d):
    order: Order

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return super()._conv_forward(_ordered(input, self.order), weight, bias)


class _ConvTranspose2d(nn.ConvTranspose2d):
    order: Order

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        return super().forward(_ordered(input, self.order), output_size)


_OURS: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: _Conv2d, nn.ConvTranspose2d: _ConvTranspose2d}
_PLAIN: dict[type[nn.Module], type[nn.Module]] = {ours: plain for plain, ours in _OURS.items()}


def _ordered(x: Tensor, order: Order) -> Tensor:
    """`x`, or a copy of it in that order: [B, C, H, W]. What follows keeps the order."""
    if torch.compiler.is_compiling():
        return x  # a compiler plans the memory by itself
    if order == "contiguous" or x.dim() != 4:
        return x.contiguous()
    # `contiguous` leaves an image of one channel as it is, and all that follows would stay in its order
    if x.stride(1) == 1 and x.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.clone(memory_format=torch.channels_last)
