"""An ONNX file: the graph of the whole network, its outputs by name, and what the file says of itself."""

import json
from typing import TYPE_CHECKING, Any

import torch

from uvala.backends.onnx_graph import to_onnx
from uvala.export.extras import require
from uvala.export.module import WholeNetwork
from uvala.prediction.file_card import IMAGE, KEY, LEVELS, MASK, PROBABILITIES, FileCard

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["onnx_model", "said_of", "with_card"]

_MAPS = "maps"


def onnx_model(network: WholeNetwork, card: FileCard) -> "ModelProto":
    """The graph of the network, with the inputs and outputs that the card names; BackendError without one."""
    onnx = require("onnx", "onnx")
    channels = card.card.network.in_channels
    more = {LEVELS: torch.full((2, channels, 2), torch.nan)} if card.levels else {}
    model: ModelProto = onnx.load_model_from_string(to_onnx(network, channels, output_name=_MAPS, more=more))
    _name_outputs(model, card)
    model.graph.name = "uvala"
    model.doc_string = f"{', '.join(card.card.encoding.names)}: probabilities of the classes of each pixel"
    model.producer_name, model.producer_version = "uvala", card.card.uvala
    return with_card(model, card)


def with_card(model: "ModelProto", card: FileCard) -> "ModelProto":
    """The graph with the card, and its main points in plain words, as metadata."""
    onnx = require("onnx", "onnx")
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, said_of(card))
    onnx.checker.check_model(model)
    return model


def said_of(card: FileCard) -> dict[str, str]:
    """What a file says of itself: the whole card as JSON, and what a program in any language needs of it."""
    run = card.card
    facts: dict[str, Any] = {
        "classes": run.encoding.names,
        # how class k is spelt in the masks trained on; a colour as red << 16 | green << 8 | blue
        "mask_values": [entry.values[0] for entry in run.encoding.classes],
        "mask_kind": run.encoding.kind,
        "channels": run.network.in_channels,
        "dtype": run.data.dtype,
        "multiple": card.multiple,
        "halo": card.halo,
        "tile": run.tiles.size,
    }
    return {KEY: card.model_dump_json(), **{name: json.dumps(value) for name, value in facts.items()}}


def _name_outputs(model: "ModelProto", card: FileCard) -> None:
    """From one array of all maps to an output for each thing that the card names."""
    from onnx import TensorProto, helper

    graph, classes = model.graph, card.card.network.num_classes
    axes: list[Any] = ["batch", "height", "width"]
    extra = [name for name in card.outputs if name not in (PROBABILITIES, MASK)]
    if extra:
        sizes, axis = _constant(graph, "map_counts", [classes, 1]), _constant(graph, "map_axis", [1])
        graph.node.append(helper.make_node("Split", [_MAPS, sizes], [PROBABILITIES, "more"], axis=1))
        graph.node.append(helper.make_node("Squeeze", ["more", axis], extra))
    else:
        graph.node.append(helper.make_node("Identity", [_MAPS], [PROBABILITIES]))
    if MASK in card.outputs:
        graph.node.append(helper.make_node("ArgMax", [PROBABILITIES], ["likeliest"], axis=1, keepdims=0))
        graph.node.append(helper.make_node("Cast", ["likeliest"], [MASK], to=TensorProto.UINT8))
    shapes = {PROBABILITIES: ["batch", classes, "height", "width"]}
    del graph.output[:]
    for name in card.outputs:
        kind = TensorProto.UINT8 if name == MASK else TensorProto.FLOAT
        graph.output.append(helper.make_tensor_value_info(name, kind, shapes.get(name, axes)))
    assert graph.input[0].name == IMAGE


def _constant(graph: Any, name: str, values: list[int]) -> str:
    from onnx import TensorProto, helper

    graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
    return name
