"""What others call the two convolutions of a U-Net's level, each with its norm."""

from collections.abc import Iterable, Iterator, Sequence

__all__ = ["IN_A_ROW", "VGG_BLOCK", "double_convolutions"]

IN_A_ROW = ("0", "1", "3", "4")
"""Convolution, norm, ReLU, convolution, norm, ReLU in one nn.Sequential."""

VGG_BLOCK = ("conv1", "bn1", "conv2", "bn2")


def double_convolutions(
    blocks: Iterable[tuple[str, str]], names: Sequence[str], *, places: Sequence[int] = (0, 1)
) -> Iterator[tuple[str, str]]:
    """Pairs (our name, their name) for blocks, each given as such a pair.

    names: theirs for the first convolution and its norm, and the second and its norm. places: of our two
    convolutions in the block.
    """
    conv1, norm1, conv2, norm2 = names
    first, second = places
    for ours, theirs in blocks:
        yield f"{ours}.{first}.0", f"{theirs}.{conv1}"
        yield f"{ours}.{first}.1", f"{theirs}.{norm1}"
        yield f"{ours}.{second}.0", f"{theirs}.{conv2}"
        yield f"{ours}.{second}.1", f"{theirs}.{norm2}"
