"""OpenVINO (Apache-2.0, Intel): a network as an ONNX graph, on the CPU, of any maker."""

import sys
import threading
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from torch import nn

from uvala.backends.converted import converted
from uvala.backends.onnxruntime import ONNX_FILE, write_graph
from uvala.backends.runtime import Compute, Wanted, accelerated

__all__ = ["import_openvino", "prepare_openvino"]

_TELEMETRY = "openvino_telemetry"


def prepare_openvino(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network, computed by OpenVINO. BackendError if that cannot be."""
    with converted(network, "onnx", (), lambda folder: write_graph(network, wanted, folder)) as folder:
        compute = _compiled(str(folder / ONNX_FILE), wanted.threads)
    return accelerated(network, compute, "openvino", wanted)


def import_openvino() -> ModuleType:
    """The package `openvino`, which is not allowed to report over the network that it was imported."""
    if "openvino" not in sys.modules and _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # as if it were not installed
        try:
            import openvino
        finally:
            del sys.modules[_TELEMETRY]
    import openvino

    return openvino


def _compiled(graph: str, threads: int) -> Compute:
    openvino = import_openvino()
    core = openvino.Core()
    settings = {
        # on a CPU that has bfloat16 it would compute in that by itself
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": str(threads),
    }
    request = core.compile_model(core.read_model(graph), "CPU", settings).create_infer_request()
    alone = threading.Lock()

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with alone:  # a request computes one batch at a time
            (logits,) = request.infer([images], share_inputs=True).values()
            return np.array(logits)

    return compute
