"""OpenVINO's two files, made of the ONNX graph: NAME.xml with the layers, NAME.bin with the weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from uvala.backends.openvino import import_openvino
from uvala.export.extras import require
from uvala.export.onnx_file import said_of
from uvala.prediction.file_card import FileCard

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["openvino_model", "save_openvino"]


def openvino_model(graph: "ModelProto") -> Any:
    """The same network as OpenVINO's graph."""
    require("openvino", "openvino")
    return import_openvino().Core().read_model(graph.SerializeToString())


def save_openvino(model: Any, card: FileCard, path: Path) -> None:
    """Write both files; the card and its main points stand in the .xml, below rt_info."""
    for name, text in said_of(card).items():
        model.set_rt_info(text, [name])
    # weights of 16 bits, its default, would be other weights
    import_openvino().save_model(model, path, compress_to_fp16=False)
