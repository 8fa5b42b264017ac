"""TensorRT (NVIDIA) through ONNX Runtime: engines for one GPU, built at the first image of a size.

Written from the documentation; it has not run on a GPU yet.
"""

import os
from typing import Any

import torch
from torch import nn

from uvala.backends.converted import converted
from uvala.backends.onnxruntime import ONNX_FILE, session, write_graph
from uvala.backends.runtime import Wanted, accelerated
from uvala.errors import BackendError

__all__ = ["can_agree", "has_tensorrt", "prepare_tensorrt"]

_PROVIDER = "TensorrtExecutionProvider"
_TF32 = "NVIDIA_TF32_OVERRIDE"  # ONNX Runtime has no setting of its own for it


def can_agree() -> bool:
    """Whether there is TensorRT, and the environment lets it compute as PyTorch does."""
    return has_tensorrt() and not _rounds()


def has_tensorrt() -> bool:
    """Whether ONNX Runtime was built with TensorRT and there is a GPU for it."""
    if not torch.cuda.is_available():
        return False
    import onnxruntime

    return _PROVIDER in onnxruntime.get_available_providers()


def _rounds() -> bool:
    """Whether it computes with TF32, of which a GPU must be capable."""
    return torch.cuda.get_device_capability() >= (8, 0) and os.environ.get(_TF32) != "0"


def prepare_tensorrt(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network, computed by TensorRT. BackendError if that cannot be."""
    if not has_tensorrt():
        raise BackendError(
            found="no GPU, or an ONNX Runtime without TensorRT",
            expected="an NVIDIA GPU, TensorRT and the package onnxruntime-gpu",
            fix="install them, or use another backend",
        )
    if _rounds():
        raise BackendError(
            found="TensorRT on a GPU on which it computes float32 with 10 bits (TF32)",
            expected="the numbers of PyTorch",
            fix=f"set {_TF32}=0 in the environment before uvala starts, or use another backend",
        )
    providers: list[Any] = [(_PROVIDER, {"trt_fp16_enable": False}), "CUDAExecutionProvider"]
    with converted(network, "onnx", (), lambda folder: write_graph(network, wanted, folder)) as folder:
        compute = session(folder / ONNX_FILE, wanted.threads, providers)
    return accelerated(network, compute, "tensorrt", wanted)
