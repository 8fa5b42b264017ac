"""ONNX Runtime (MIT, Microsoft): a network as an ONNX graph, on the CPU."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from uvala.arrays import Size
from uvala.backends.agreement import trial_side
from uvala.backends.converted import converted
from uvala.backends.onnx_graph import ragged_size, to_onnx
from uvala.backends.runtime import Compute, Wanted, accelerated, multiple_of, pads_outside

__all__ = ["ONNX_FILE", "prepare_onnxruntime", "session", "write_graph"]

ONNX_FILE = "network.onnx"


def prepare_onnxruntime(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network, computed by ONNX Runtime. BackendError if that cannot be."""
    with converted(network, "onnx", (), lambda folder: write_graph(network, wanted, folder)) as folder:
        compute = session(folder / ONNX_FILE, wanted.threads, ["CPUExecutionProvider"])
    return accelerated(network, compute, "onnxruntime", wanted)


def write_graph(network: nn.Module, wanted: Wanted, folder: Path) -> None:
    """Write the ONNX graph of a network whose padding happens outside of it, if it can."""
    side = trial_side(network)
    even = Size(side, side + multiple_of(network))
    size = even if pads_outside(network) else ragged_size(network)
    (folder / ONNX_FILE).write_bytes(to_onnx(network, wanted.in_channels, size=size))


def session(graph: Path, threads: int, providers: list[Any]) -> Compute:
    """What computes the graph in that file with these providers of ONNX Runtime."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # on Windows it would report its use
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors; it warns of every node that it cannot place
    # between images PyTorch's threads have work to do, and these would keep the cores busy with waiting
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    running = onnxruntime.InferenceSession(str(graph), options, providers=providers)
    name = running.get_inputs()[0].name

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return running.run(None, {name: images})[0]

    return compute
