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
from uvala.backends.tensorrt import has_tensorrt, prepare_tensorrt
from uvala.backends.torch_compile import can_compile, prepare_compiled
from uvala.backends.torch_eager import Precision, in_precision, prepare_torch
from uvala.errors import BackendError, UnknownNameError, UvalaError, did_you_mean
from uvala.machine import usable_cores

__all__ = [
    "NAMES",
    "accelerate",
    "available",
    "packages_of",
    "require_usable",
    "start",
    "threads_each",
]


class _Backend(NamedTuple):
    """packages: that it imports, and the extra that installs them. inside: whether torch makes the calls."""

    packages: tuple[str, ...]
    prepare: Callable[[nn.Module, Wanted], nn.Module]
    extra: str = ""
    device: str = "cpu"
    ready: Callable[[], bool] = lambda: True
    inside: bool = False


def _as_it_is(network: nn.Module, wanted: Wanted) -> nn.Module:
    return network


_BACKENDS = {
    "torch": _Backend((), _as_it_is, device="any", inside=True),
    "compile": _Backend((), prepare_compiled, device="any", ready=can_compile),
    "onnxruntime": _Backend(("onnxruntime",), prepare_onnxruntime, "onnx"),
    "openvino": _Backend(("openvino",), prepare_openvino, "openvino"),
    "ncnn": _Backend(("ncnn", "pnnx"), prepare_ncnn, "ncnn"),
    "tensorrt": _Backend(("onnxruntime",), prepare_tensorrt, "onnx", device="cuda", ready=has_tensorrt),
}

NAMES = tuple(_BACKENDS)
"""What `accelerate` knows."""


def available() -> tuple[str, ...]:
    """The names of the runtimes that are installed and can run here."""
    return tuple(name for name, each in _BACKENDS.items() if not _missing(each) and each.ready())


def packages_of(name: str) -> tuple[str, ...]:
    """The packages that a runtime consists of."""
    return _BACKENDS[name].packages


def threads_each(at_once: int = 1) -> int:
    """Threads for an image, where so many are computed at once: together no more than there are cores."""
    # torch's own number is what the user has set, if anything
    return max(1, min(torch.get_num_threads(), usable_cores()) // max(1, at_once))


def accelerate(
    model: nn.Module,
    name: str,
    *,
    in_channels: int,
    tile: Size,
    threads: int | None = None,
    precision: Precision = "float32",
) -> nn.Module:
    """`model` in eval mode, computed by a runtime: [B, C, H, W] -> logits [B, K, H, W], any H and W.

    The logits are those of the model up to rounding, which is tried on small images. model: stays as it is.
    tile: the size of most images. threads: for one image; None: all cores. The runtimes "torch" and "compile"
    go by torch's own setting. precision: of "torch" on a GPU; with other than float32 the logits are others.

    Raises UnknownNameError; BackendError if the runtime is not installed, is not for the model's device, or
    cannot compute this network. All but "torch" refuse networks of which a tile must know something of the
    whole image (instance norms, squeezes, interpolation of corners onto corners).
    """
    require_usable(model, name)
    if precision != "float32" and name != "torch":
        raise BackendError(
            found=f"precision {precision} with {name}", expected="float32", fix="use torch for it"
        )
    wanted = Wanted(in_channels, tile, threads or threads_each())
    return in_precision(start(name, prepare_torch(model, in_channels), wanted), precision)


def start(name: str, network: nn.Module, wanted: Wanted) -> nn.Module:
    """The runtime for what `prepare_torch` gave; BackendError if it cannot compute this network."""
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
            found=f"backend '{name}'", expected="a runtime that uvala knows", fix=did_you_mean(name, NAMES)
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
