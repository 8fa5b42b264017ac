"""A .pt2 file of torch.export, which is what PyTorch recommends for running a network without its code.

TorchScript, its forerunner, is deprecated. A .pt2 is an archive: the graph as JSON, the weights as plain
bytes, the card as an extra file. Opening one in PyTorch may run code all the same (`torch.export.load` says
so): only files of known origin should be opened.
"""

import copy
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.export import Dim, ExportedProgram, export, load, save

from uvala.backends.onnx_graph import ragged_size
from uvala.errors import BackendError
from uvala.export.module import NamedOutputs
from uvala.models.layout import use_layout
from uvala.prediction.file_card import KEY, FileCard
from uvala.prediction.session import Arrays, Session

__all__ = ["EXTRA_FILE", "open_own", "write_torch"]

EXTRA_FILE = f"{KEY}.json"
"""The card inside the archive."""

_CHECKS = (torch.ops.aten._assert_scalar.default, torch.ops.aten._assert_tensor_metadata.default)


def write_torch(network: NamedOutputs, card: FileCard, path: Path) -> None:
    """Write the network; BackendError where torch cannot record it for images of any size."""
    if "prefer_deferred_runtime_asserts_over_guards" not in inspect.signature(export).parameters:
        raise BackendError(
            found=f"torch {torch.__version__}",
            expected="one whose torch.export can leave the size of images open",
            fix="upgrade torch, or use --to onnx",
        )
    channels = card.card.network.in_channels
    image = torch.zeros(2, channels, *ragged_size(network))
    levels = [torch.full((2, channels, 2), torch.nan)] if card.levels else []
    shapes: list[Any] = [{0: (batch := Dim("batch")), 2: Dim("height"), 3: Dim("width")}]
    # a copy: the order of memory that suits this machine is nobody else's business
    still = use_layout(copy.deepcopy(network).eval(), "contiguous").to(memory_format=torch.contiguous_format)
    try:
        with torch.no_grad():
            program = export(
                still,
                (image, *levels),
                dynamic_shapes=(*shapes, *({0: batch} for _ in levels)),
                # an `if` about the size comes out as for this image, of which no size divides: all padding is
                # in the graph, by 0 pixels if need be. What it was is then a check, not a refusal.
                prefer_deferred_runtime_asserts_over_guards=True,
            )
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise BackendError(
            found=f"a network that torch.export cannot record ({(str(error).splitlines() or [''])[0]})",
            expected="one whose layers take images of any size",
            fix="use --to onnx",
        ) from error
    _without_checks(program)
    save(program, path, extra_files={EXTRA_FILE: card.model_dump_json()})


def open_own(path: Path) -> Session:
    """A file that this process has just written: of no other is known that opening it is safe."""
    extra = {EXTRA_FILE: ""}
    module = load(path, extra_files=extra).module()
    card = FileCard.model_validate_json(extra[EXTRA_FILE])

    def run(inputs: Arrays) -> Arrays:
        with torch.inference_mode():
            outputs = module(*(torch.from_numpy(np.ascontiguousarray(each)) for each in inputs.values()))
        arrays: list[NDArray[Any]] = [each.numpy() for each in outputs]
        return dict(zip(card.outputs, arrays, strict=True))

    return Session(path, card, run)


def _without_checks(program: ExportedProgram) -> None:
    """Let the program take images of which a check says that its padding was not needed."""
    for module in program.graph_module.modules():
        if not isinstance(module, torch.fx.GraphModule):
            continue
        for node in list(module.graph.nodes):
            if node.op == "call_function" and node.target in _CHECKS:
                module.graph.erase_node(node)
        module.graph.eliminate_dead_code()
        module.recompile()
