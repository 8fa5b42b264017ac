"""ncnn (BSD-3, Tencent): a network through its converter pnnx, on the CPU.

Its 3x3 convolutions are those of Winograd (Lavin & Gray 2015, arXiv:1509.09308), with about half of the
multiplications: the one runtime here that is faster than a multiply-add for each weight allows.
"""

import copy
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from uvala.arrays import Size
from uvala.backends.agreement import noise, trial_side
from uvala.backends.converted import converted
from uvala.backends.onnx_graph import quiet_tracing
from uvala.backends.runtime import Compute, Wanted, accelerated, multiple_of
from uvala.errors import BackendError, UnsuitableError

__all__ = ["prepare_ncnn"]

_PARAM, _BIN = "network.ncnn.param", "network.ncnn.bin"
_PATIENCE = 1800  # seconds for the converter, which takes 1 to 10 of a processor that is free


def prepare_ncnn(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network, computed by ncnn. UnsuitableError if that cannot be, BackendError if not today."""

    def convert(folder: Path) -> None:
        _convert(network, wanted.in_channels, folder)

    with converted(network, "ncnn", ("ncnn", "pnnx"), convert) as folder:
        compute = _loaded(folder, wanted.threads)
    return accelerated(network, compute, "ncnn", wanted)


def _convert(network: nn.Module, in_channels: int, folder: Path) -> None:
    """Write what ncnn reads, for images whose sizes are multiples of the network's."""
    import pnnx

    multiple, side = multiple_of(network), trial_side(network)
    # with two sizes it knows what of the graph depends on the size
    sizes = Size(side, side + multiple), Size(side + 2 * multiple, side + 3 * multiple)
    recorded = folder / "network.pt"
    plain = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    with torch.no_grad(), quiet_tracing(), _WithoutCrops():
        torch.jit.trace(plain, noise(1, in_channels, *sizes[0]), check_trace=False).save(str(recorded))
    first, second = (f"[1,{in_channels},{size.height},{size.width}]f32" for size in sizes)
    others = {"pnnxparam": "p", "pnnxbin": "b", "pnnxpy": "p.py", "pnnxonnx": "o", "ncnnpy": "n.py"}
    files = {"ncnnparam": _PARAM, "ncnnbin": _BIN, **others}
    settings = {"inputshape": first, "inputshape2": second, "fp16": "0", **files}
    command = [pnnx.EXEC_PATH, recorded.name, *(f"{key}={value}" for key, value in settings.items())]
    try:
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(
            found=f"pnnx, which does not convert {type(network).__name__} ({error})",
            expected="a converter that runs",
            fix="try again when the machine is less busy, or use another backend",
        ) from error
    for file in folder.iterdir():
        if file.name not in (_PARAM, _BIN):
            file.unlink()
    if not (folder / _PARAM).is_file():
        complaint = (told.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise _cannot(f"pnnx cannot convert {type(network).__name__} ({complaint})")


def _loaded(folder: Path, threads: int) -> Compute:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    # float32 means float32
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(folder / _PARAM)) or net.load_model(str(folder / _BIN)):
        raise _cannot("ncnn cannot read what pnnx wrote")
    (source,), (sink,) = net.input_names(), net.output_names()

    def of_one(image: NDArray[np.float32]) -> NDArray[np.float32]:
        with net.create_extractor() as extractor:
            # a copy, since ncnn wants each channel to begin at a multiple of 16 bytes
            extractor.input(source, ncnn.Mat(image).clone())
            failed, logits = extractor.extract(sink)
            if failed:
                raise _cannot(f"ncnn stops at an image of {Size(*image.shape[1:])} pixels")
            return np.array(logits)

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([of_one(image) for image in images])

    return compute


class _WithoutCrops(TorchFunctionMode):
    """Slices that keep all of a tensor are left out: ncnn need not know how large it is."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is Tensor.__getitem__ and _sizes(result) == _sizes(args[0]):
            return args[0]
        return result


def _sizes(x: Tensor) -> list[int]:
    # while calls are recorded, a size is a tensor
    return [int(length) for length in x.shape]


def _cannot(what: str) -> UnsuitableError:
    return UnsuitableError(
        found=what, expected="a network that ncnn can compute", fix="use torch, or another backend"
    )
