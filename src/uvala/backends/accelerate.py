"""The runtimes by name: which are installed, and a network made ready for one of them."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import nn

from uvala.arrays import Size
from uvala.backends.ncnn import prepare_ncnn
from uvala.backends.onnxruntime import prepare_onnxruntime
from uvala.backends.openvino import prepare_openvino
from uvala.backends.runtime import Wanted, require_local
from uvala.backends.tensorrt import can_agree, prepare_tensorrt
from uvala.backends.torch_compile import can_compile, prepare_compiled
from uvala.backends.torch_eager import prepare_half, prepare_torch
from uvala.errors import BackendError, UnknownNameError, UvalaError, did_you_mean
from uvala.machine import usable_cores

__all__ = [
    "EXACT",
    "NAMES",
    "accelerate",
    "available",
    "packages_of",
    "require_usable",
    "start",
    "threads_each",
]


class _Backend(NamedTuple):
    """packages: that it imports, and the extra that installs them. inside: whether torch makes the calls.
    exact: whether its numbers are torch's up to rounding of float32.
    """

    packages: tuple[str, ...]
    prepare: Callable[[nn.Module, Wanted], nn.Module]
    extra: str = ""
    device: str = "cpu"
    ready: Callable[[], bool] = lambda: True
    inside: bool = False
    exact: bool = True


def _as_it_is(network: nn.Module, wanted: Wanted) -> nn.Module:
    return network


_BACKENDS = {
    "torch": _Backend((), _as_it_is, device="any", inside=True),
    "torch-bf16": _Backend((), prepare_half(torch.bfloat16), device="any", inside=True, exact=False),
    "torch-fp16": _Backend(
        (),
        prepare_half(torch.float16),
        device="cuda",
        ready=torch.cuda.is_available,
        inside=True,
        exact=False,
    ),
    "compile": _Backend((), prepare_compiled, device="any", ready=can_compile),
    "onnxruntime": _Backend(("onnxruntime",), prepare_onnxruntime, "onnx"),
    "openvino": _Backend(("openvino",), prepare_openvino, "openvino"),
    "ncnn": _Backend(("ncnn", "pnnx"), prepare_ncnn, "ncnn"),
    "tensorrt": _Backend(("onnxruntime",), prepare_tensorrt, "onnx", device="cuda", ready=can_agree),
}

NAMES = tuple(_BACKENDS)
"""What `accelerate` knows."""

EXACT = tuple(name for name, each in _BACKENDS.items() if each.exact)
"""Those that may stand for torch without being asked for."""


def available(device: torch.device | None = None) -> tuple[str, ...]:
    """The names of the runtimes that are installed and can run here; device: only those for it."""
    return tuple(
        name
        for name, each in _BACKENDS.items()
        if (device is None or each.device in ("any", device.type)) and not _missing(each) and each.ready()
    )


def packages_of(name: str) -> tuple[str, ...]:
    """The packages that a runtime consists of."""
    return _BACKENDS[name].packages


def threads_each() -> int:
    """Threads for an image: as many as torch takes, and no more than there are cores."""
    # torch's own number is what the user has set, if anything
    return min(torch.get_num_threads(), usable_cores())


def accelerate(
    model: nn.Module,
    name: str,
    *,
    in_channels: int,
    tile: Size,
    threads: int | None = None,
) -> nn.Module:
    """`model` in eval mode, computed by a runtime: [B, C, H, W] -> logits [B, K, H, W], any H and W.

    The logits are those of the model up to rounding, which is tried; with "torch-bf16" and "torch-fp16", to
    16 bits. model: stays as it is. tile: the size of most images. threads: for one image; None: all cores.
    Where torch computes ("torch...", "compile"), it goes by its own setting.

    Raises UnknownNameError; BackendError if the runtime is not installed, is not for the model's device, or
    cannot compute this network. All but "torch..." refuse networks of which a tile must know something of the
    whole image (instance norms, squeezes, interpolation of corners onto corners).
    """
    require_usable(model, name)
    wanted = Wanted(in_channels, tile, threads or threads_each())
    return start(name, prepare_torch(model, in_channels), wanted)


def start(name: str, network: nn.Module, wanted: Wanted) -> nn.Module:
    """The runtime for what `prepare_torch` gave.

    UnsuitableError if it will never compute this network, another BackendError if it failed to.
    """
    backend = _BACKENDS[name]
    if not backend.inside:
        require_local(network, wanted.in_channels)
    try:
        return backend.prepare(network, wanted)
    except UvalaError:
        raise
    except Exception as error:  # each runtime has kinds of its own
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BackendError(
            found=f"{name}, which fails with {type(network).__name__} ({first_line})",
            expected="a network that it can compute",
            fix="use torch, or another backend",
        ) from error


def require_usable(model: nn.Module, name: str) -> None:
    """UnknownNameError for another name, BackendError for what is not installed or for another device."""
    if name not in _BACKENDS:
        raise UnknownNameError(
            found=f"backend '{name}'", expected=f"auto, {', '.join(NAMES)}", fix=did_you_mean(name, NAMES)
        )
    backend, device = _BACKENDS[name], next(model.parameters(), torch.empty(0)).device.type
    _require_installed(name, backend)
    if backend.device not in ("any", device):
        raise BackendError(
            found=f"{name} for a network on {device}",
            expected=f"one on {backend.device}",
            fix=f"predict with --device {backend.device}, or use torch",
        )


def _missing(backend: _Backend) -> list[str]:
    return [package for package in backend.packages if find_spec(package) is None]


def _require_installed(name: str, backend: _Backend) -> None:
    if missing := _missing(backend):
        raise BackendError(
            found=f"backend '{name}' without the package{'s' * (len(missing) > 1)} {' and '.join(missing)}",
            expected="it installed",
            fix=f"pip install 'uvala[{backend.extra}]', or use one of {', '.join(available())}",
        )
