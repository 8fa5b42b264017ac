"""A network as an ONNX graph for images of any height, width and batch, with its weights inside.

By torch's exporter of recorded calls (`dynamo=False`), not by the one of `torch.export`. What a network does
with the size of its image (padding to a multiple, framing a map that is a row short) becomes arithmetic on
sizes in the graph, so that one graph serves them all; `torch.export` demands that every `if` about a size
comes out alike for all sizes, and few of these networks pass. It is in every torch from 2.5 on, and needs no
other package.
"""

import copy
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from uvala.arrays import Size
from uvala.backends.agreement import noise, trial_side
from uvala.errors import UnsuitableError
from uvala.models.layout import use_layout

__all__ = ["quiet_tracing", "ragged_size", "to_onnx"]

OPSET = 17  # what every runtime of the last years reads


def to_onnx(
    model: nn.Module,
    in_channels: int,
    *,
    size: Size | None = None,
    input_name: str = "image",
    output_name: str = "logits",
    more: Mapping[str, Tensor] | None = None,
) -> bytes:
    """The ONNX graph of `model` in eval mode: float32 [batch, in_channels, height, width] -> its output.

    size: of the image that the network is shown while its calls are recorded. An `if` about the size of the
    image comes out in the graph as it does for this one. None: a size that no pooling divides, so that all
    padding is in the graph, where it may be by 0 pixels; such a graph wants images no smaller than the
    network's `multiple`.

    more: examples of what the network takes besides, for a batch of 2, by the names of these inputs.

    Raises UnsuitableError for a network that does something for which ONNX has no word.
    """
    # neither the caller's modes nor the place and precision of the weights change
    still = use_layout(copy.deepcopy(model).to("cpu", torch.float32).eval(), "contiguous")
    height, width = size or ragged_size(model)
    more = more or {}
    axes = {0: "batch", 2: "height", 3: "width"}
    dynamic = {input_name: axes, output_name: axes} | {name: {0: "batch"} for name in more}
    with tempfile.TemporaryDirectory(prefix="uvala-") as folder:
        file = Path(folder) / "graph.onnx"
        try:
            with torch.no_grad(), quiet_tracing():
                torch.onnx.export(
                    still,
                    (noise(2, in_channels, height, width), *more.values()),
                    file,
                    input_names=[input_name, *more],
                    output_names=[output_name],
                    dynamic_axes=dynamic,
                    opset_version=OPSET,
                    dynamo=False,
                )
        except (torch.onnx.OnnxExporterError, RuntimeError, ValueError, TypeError) as error:
            raise UnsuitableError(
                found=f"{type(model).__name__}, which cannot be written as ONNX ({_first_line(error)})",
                expected="a network of layers that ONNX knows",
                fix="use it with torch",
            ) from error
        return file.read_bytes()


def ragged_size(model: nn.Module) -> Size:
    """A size at which each pooling of the network has an odd number of rows and columns before it."""
    multiple, side = int(getattr(model, "multiple", 1)), trial_side(model)
    return Size(side + multiple - 1, side + 2 * multiple - 1)


@contextmanager
def quiet_tracing() -> Iterator[None]:
    """Without torch's warnings that recording calls is the old way, and that it goes by the size shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
