"""What torchvision calls the parts of a ResNet, and so does nearly everyone after it."""

from collections.abc import Sequence

from uvala.models.resnet import LAYERS
from uvala.weights.form import Shapes

__all__ = ["ENCODER_NAMES", "TORCHVISION_NAMES", "count_blocks", "resnet_names"]

TORCHVISION_NAMES = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
ENCODER_NAMES = ("firstconv", "firstbn", "encoder1", "encoder2", "encoder3", "encoder4")
"""CE-Net's, and of what came from it."""

_CONVOLUTIONS = 3  # of a bottleneck; a basic block has two, and no tensor asks for the third


def resnet_names(
    ours: str,
    theirs: str,
    *,
    layers: Sequence[int] = LAYERS,
    names: Sequence[str] = TORCHVISION_NAMES,
) -> list[tuple[str, str]]:
    """Pairs (our name, their name) for a `ResNet` that we call `ours` and that they call `theirs`.

    theirs: "" if the names stand at the top. layers: blocks per layer. names: what they call the stem's
    convolution, its norm and each layer.
    """
    before, inside = f"{ours}.stages", f"{theirs}." if theirs else ""
    conv, norm, *rows = names
    pairs = [(f"{before}.0.0", inside + conv), (f"{before}.0.1", inside + norm)]
    for stage, (row, count) in enumerate(zip(rows, layers, strict=True), start=1):
        for index in range(count):
            # the first layer begins with the pooling
            place = index + 1 if stage == 1 else index
            pairs += _block(f"{before}.{stage}.{place}", f"{inside}{row}.{index}")
    return pairs


def count_blocks(
    shapes: Shapes, *, prefix: str = "", names: Sequence[str] = TORCHVISION_NAMES
) -> tuple[int, ...]:
    """Blocks per layer of a checkpoint whose ResNet begins with that prefix (with its dot, or "")."""
    rows = [f"{prefix}{row}." for row in names[2:]]
    return tuple(
        len({key.removeprefix(row).split(".")[0] for key in shapes if key.startswith(row)}) for row in rows
    )


def _block(ours: str, theirs: str) -> list[tuple[str, str]]:
    pairs = [(f"{ours}.shortcut", f"{theirs}.downsample")]
    for index in range(_CONVOLUTIONS):
        pairs.append((f"{ours}.body.{index}.0", f"{theirs}.conv{index + 1}"))
        pairs.append((f"{ours}.body.{index}.1", f"{theirs}.bn{index + 1}"))
    return pairs
