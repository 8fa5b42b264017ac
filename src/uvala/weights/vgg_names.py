"""What torchvision and those who build on it call the convolutions of a VGG16."""

from uvala.models.vgg import COUNTS

__all__ = ["vgg16_names"]


def vgg16_names(ours: str, theirs: str) -> list[tuple[str, str]]:
    """Pairs (our name, their name) for a `VGG16` that we call `ours`: ("ours.stages.0.0.0", "theirs.0"), ...

    theirs: a row of convolution, ReLU, ..., pooling, as torchvision's `features`. The convolutions in it
    are 0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28.
    """
    names, index = [], 0
    for stage, count in enumerate(COUNTS):
        for convolution in range(count):
            names.append((f"{ours}.stages.{stage}.{convolution}.0", f"{theirs}.{index}"))
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling
    return names
