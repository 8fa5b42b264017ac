"""TensorRT (NVIDIA) through ONNX Runtime: engines for one GPU, built at the first image of a size.

Written from the documentation; it has not run on a GPU yet.
"""

from typing import Any

import torch
from torch import nn

from uvala.backends.converted import converted
from uvala.backends.onnxruntime import ONNX_FILE, session, write_graph
from uvala.backends.runtime import Wanted, accelerated
from uvala.errors import BackendError

__all__ = ["has_tensorrt", "prepare_tensorrt"]

_PROVIDER = "TensorrtExecutionProvider"


def has_tensorrt() -> bool:
    """Whether ONNX Runtime was built with TensorRT and there is a GPU for it."""
    if not torch.cuda.is_available():
        return False
    import onnxruntime

    return _PROVIDER in onnxruntime.get_available_providers()


def prepare_tensorrt(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network, computed by TensorRT. BackendError if that cannot be."""
    if not has_tensorrt():
        raise BackendError(
            found="no GPU, or an ONNX Runtime without TensorRT",
            expected="an NVIDIA GPU, TensorRT and the package onnxruntime-gpu",
            fix="install them, or use another backend",
        )
    # from Ampere on it computes float32 in TF32, unless NVIDIA_TF32_OVERRIDE=0; the trial then refuses it
    providers: list[Any] = [(_PROVIDER, {"trt_fp16_enable": False}), "CUDAExecutionProvider"]
    with converted(network, "onnx", (), lambda folder: write_graph(network, wanted, folder)) as folder:
        compute = session(folder / ONNX_FILE, wanted.threads, providers)
    return accelerated(network, compute, "tensorrt", wanted)
