"""A package of the BioImage Model Zoo: a description, weights, test arrays, a page and a picture in one zip.

Source: the model description of bioimage.io, version 0.5, as bioimageio.spec documents and checks it.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

import uvala
from uvala.arrays import ImageArray
from uvala.config import build
from uvala.export.module import NamedOutputs, WholeNetwork
from uvala.images.display import class_colours, overlay, to_display
from uvala.images.write import write_rgb
from uvala.models.catalog import create_model, without_pretrained
from uvala.prediction.ensemble import Member
from uvala.prediction.file_card import IMAGE, MASK, PROBABILITIES, FileCard
from uvala.prediction.session import Session
from uvala.runs.card import Card

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["ONNX_NAME", "whole_network", "write_bioimage"]

ONNX_NAME = "weights.onnx"
_DESCRIPTION = "rdf.yaml"
_FORMAT = "0.5.3"  # the first that has all that is said here
_TORCH_NAME = "weights.pt"
_TILE = 256  # pixels that a consumer's smallest block contributes, so that little of it is context
_NAME_LETTERS = re.compile(r"[^A-Za-z0-9_+\- ()]")


def whole_network(cards: Sequence[Mapping[str, Any]], outputs: Sequence[str]) -> torch.nn.Module:
    """The network of a package without its weights, for `pytorch_state_dict`. cards: of its members."""
    members = []
    for each in cards:
        card = build(Card, each, where="the package")
        network = card.network
        model = create_model(
            network.name,
            in_channels=network.in_channels,
            num_classes=network.logits or network.num_classes,
            **without_pretrained(network.options),
        )
        members.append(Member(model.eval(), card))
    return NamedOutputs(WholeNetwork(members), members[0].card.network.num_classes, outputs).eval()


def write_bioimage(
    graph: "ModelProto",
    network: NamedOutputs,
    members: Sequence[Member],
    card: FileCard,
    session: Session,
    image: ImageArray,
    name: str,
    path: Path,
) -> None:
    """Write the package of a network to `path`, a new zip; its parts go to the folder of `path` first.

    image: [C, H, W], from which the test arrays and the picture are made. session: opens `graph`.
    """
    folder = path.parent
    smallest = _smallest(card)
    test = _as_large(image, smallest + 2 * card.multiple, card.multiple)[None].astype(np.float32)
    outputs = session.outputs(test)
    np.save(folder / "test_input.npy", test)
    for each, array in outputs.items():
        np.save(folder / f"test_{each}.npy", array)
    (folder / ONNX_NAME).write_bytes(graph.SerializeToString())
    torch.save(network.state_dict(), folder / _TORCH_NAME)
    (folder / "README.md").write_text(_page(card), encoding="utf-8")
    _picture(test[0], outputs[PROBABILITIES][0].argmax(axis=0).astype(np.uint8), card, folder / "cover.png")
    parts = {
        "inputs": [_input(card, smallest, folder)],
        "outputs": [_output(card, each, outputs[each], folder) for each in card.outputs],
        "weights": _weights(graph, members, card, folder),
    }
    _zip({**_described(card, name, folder), **parts}, folder, path)


def _zip(description: Mapping[str, Any], folder: Path, path: Path) -> None:
    """The description, in JSON, which is YAML too, and all files of the folder."""
    files = sorted(file for file in folder.iterdir() if file != path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_DESCRIPTION, json.dumps(description, indent=1, ensure_ascii=False) + "\n")
        for file in files:
            archive.write(file, file.name)


def _described(card: FileCard, name: str, folder: Path) -> dict[str, Any]:
    """What the package is, besides its tensors and weights."""
    return {
        "format_version": _FORMAT,
        "type": "model",
        "name": _NAME_LETTERS.sub(" ", f"uvala {name}")[:64].strip().ljust(5, "-"),
        "description": _sentence(card),
        "documentation": _file(folder / "README.md"),
        "covers": [_file(folder / "cover.png")],
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": {"uvala": {"version": uvala.__version__, "networks": card.networks}},
    }


def _weights(
    graph: "ModelProto", members: Sequence[Member], card: FileCard, folder: Path
) -> dict[str, dict[str, Any]]:
    cards = [_plain_card(member.card) for member in members]
    architecture = {
        "callable": "whole_network",
        "import_from": __name__,
        "kwargs": {"cards": cards, "outputs": list(card.outputs)},
    }
    return {
        "pytorch_state_dict": {
            **_file(folder / _TORCH_NAME),
            "architecture": architecture,
            "pytorch_version": torch.__version__.partition("+")[0],
        },
        "onnx": {
            **_file(folder / ONNX_NAME),
            "opset_version": graph.opset_import[0].version,
            "parent": "pytorch_state_dict",
        },
    }


def _file(path: Path) -> dict[str, str]:
    return {"source": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _input(card: FileCard, smallest: int, folder: Path) -> dict[str, Any]:
    size = {"min": smallest, "step": card.multiple}
    # whether it may be cut into blocks, which then say what the whole image does
    cut = card.halo is not None and card.card.normalisation.by != "image"
    names = [f"channel{place}" for place in range(card.card.network.in_channels)]
    return {
        "id": IMAGE,
        "description": "the image, in the units of its file",
        "axes": [
            {"type": "batch"},
            {"type": "channel", "channel_names": names},
            *({"type": "space", "id": axis, "size": size, "concatenable": cut} for axis in "yx"),
        ],
        "data": {"type": "float32"},
        "test_tensor": _file(folder / "test_input.npy"),
    }


def _output(card: FileCard, name: str, array: NDArray[Any], folder: Path) -> dict[str, Any]:
    names = [f"{place}: {each}" for place, each in enumerate(card.card.encoding.names)]
    channels = [{"type": "channel", "channel_names": names}] if array.ndim == 4 else []
    halo = {"halo": card.halo} if card.halo else {}
    sizes = [
        {"type": "space", "id": axis, "size": {"tensor_id": IMAGE, "axis_id": axis}, **halo} for axis in "yx"
    ]
    return {
        "id": name,
        "description": _OUTPUT_WORDS[name],
        "axes": [{"type": "batch"}, *channels, *sizes],
        "data": {"type": "uint8" if name == MASK else "float32"},
        "test_tensor": _file(folder / f"test_{name}.npy"),
    }


_OUTPUT_WORDS = {
    PROBABILITIES: "probability of each class, which sum to 1",
    MASK: "the likeliest class",
    "borders": "probability that a pixel lies on the border of an object",
    "distance": "how far inside an object a pixel lies, 0 to 1",
}


def _smallest(card: FileCard) -> int:
    """The side of the smallest block, pixels: with its context, if it has one."""
    return -(-_TILE // card.multiple) * card.multiple + 2 * (card.halo or 0)


def _as_large(image: ImageArray, least: int, multiple: int) -> ImageArray:
    """The image, mirrored on if it is smaller, cut to a multiple of at least that side: [C, H, W]."""
    side = -(-least // multiple) * multiple
    missing = [(0, max(side - length, 0)) for length in image.shape[1:]]
    return np.pad(image, [(0, 0), *missing], mode="symmetric")[:, :side, :side]


def _plain_card(card: Card) -> dict[str, Any]:
    """What of a card builds the network and says how it is used; where the data lay is nobody's business."""
    kept = {"network", "encoding", "normalisation", "temperature"}
    return card.model_dump(mode="json", include=kept)


def _sentence(card: FileCard) -> str:
    classes = ", ".join(card.card.encoding.names)
    return f"Segmentation into {classes} by {card.card.network.name}, trained with uvala."


def _page(card: FileCard) -> str:
    run = card.card
    scale = (
        "by the image's own levels (so a block of a large image is scaled by its own)"
        if run.normalisation.by == "image"
        else "by the levels of the images trained on"
    )
    dice = run.training.best_dice
    said = (
        "was not measured" if dice is None else f"of the kept weights was {dice:.4f}, the mean over classes"
    )
    tiles = (
        f"A block needs {card.halo} pixels of context on each side and begins at a multiple of "
        f"{card.multiple}."
        if card.halo is not None
        else "No block gives the numbers of the whole image: predict images in one piece."
    )
    return f"""# {run.network.name}

{_sentence(card)} Images come in the units of their files; they are scaled inside, {scale}.
Any height, width and batch is taken. {tiles}

The weights in PyTorch's format need `pip install uvala`; those in ONNX need ONNX Runtime alone.

## Validation

Dice on {run.data.val} validation images {said}. To validate on other data: predict the images, compare the
likeliest class of each pixel with a mask drawn by hand, and look at Dice per class.
"""


def _picture(image: ImageArray, mask: Any, card: FileCard, path: Path) -> None:
    """The image beside its classes in colour: twice as wide as high, as the zoo wants it."""
    colours = class_colours(card.card.encoding.num_classes)
    picture = np.concatenate([to_display(image), overlay(image, mask, colours)], axis=1)
    write_rgb(path, picture)
