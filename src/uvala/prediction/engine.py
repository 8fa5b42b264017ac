"""A run and an image make a prediction."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from uvala.arrays import ClassMap, ImageArray
from uvala.data.dataset import convert_channels
from uvala.data.masks import MaskEncoding
from uvala.errors import ShapeError
from uvala.images.display import class_colours, overlay
from uvala.images.write import write_probabilities, write_rgb
from uvala.runs.folder import RunFolder, pick_device
from uvala.runs.inference import class_probabilities

__all__ = ["Prediction", "Predictor", "as_channels_first"]


@dataclass(frozen=True)
class Prediction:
    """What a network says about one image.

    image: [C, H, W], as it was given. mask: class indices, uint8 [H, W]. probabilities: float32 [K, H, W],
    which sum to 1 over K. encoding: the values, colours and names of the classes in the data set trained on.
    """

    image: ImageArray
    mask: ClassMap
    probabilities: NDArray[np.float32]
    encoding: MaskEncoding

    @property
    def encoded(self) -> NDArray[np.generic]:
        """The mask in the encoding of the data set trained on: values [H, W] or colours [H, W, 3]."""
        return self.encoding.encode(self.mask)

    def overlay(self, alpha: float = 0.45) -> NDArray[np.uint8]:
        """The classes in colour over the image: uint8 RGB [H, W, 3]."""
        return overlay(self.image, self.mask, class_colours(self.encoding.num_classes), alpha=alpha)

    def save(self, path: str | Path) -> Path:
        """Write the mask in the encoding of the data set trained on; where it lies.

        A name in .png becomes one in .tif if there are more objects than a PNG can number.
        """
        return self.encoding.write(Path(path), self.mask)

    def save_overlay(self, path: str | Path) -> None:
        """Write the overlay as PNG."""
        write_rgb(Path(path), self.overlay())

    def save_probabilities(self, path: str | Path) -> None:
        """Write the probabilities as a float32 TIFF with a page per class."""
        write_probabilities(Path(path), self.probabilities)


class Predictor:
    """The network of a run, loaded once, for any number of images."""

    def __init__(self, run: RunFolder, device: str = "auto") -> None:
        self.card = run.card
        self.device = pick_device(device)
        # the format that convolutions like best in inference; in training it would be slower
        self.model = run.model(self.device).to(memory_format=torch.channels_last)

    def __call__(self, image: ImageArray) -> Prediction:
        """The prediction for an image [C, H, W] of any dtype and size; ShapeError on wrong channels."""
        card = self.card
        converted = convert_channels(image, card.data.channels)
        if len(converted) != card.network.in_channels:
            raise ShapeError(
                found=f"an image of {len(converted)} channel{'s' * (len(converted) > 1)}",
                expected=f"{card.network.in_channels}, as in the images that the network was trained on",
                fix="convert the image, or train on images like it",
            )
        probabilities = class_probabilities(
            self.model, converted, card.normalisation, card.network, card.tiles, self.device
        ).numpy()
        mask = probabilities.argmax(axis=0).astype(np.uint8)
        return Prediction(image, mask, probabilities, card.encoding)


def as_channels_first(array: ArrayLike) -> ImageArray:
    """[C, H, W] of an array [H, W] or [H, W, C]; ShapeError on anything else."""
    values = np.asarray(array)
    if values.dtype.kind not in "buif" or values.ndim not in (2, 3) or 0 in values.shape:
        raise ShapeError(
            found=f"an array of shape {values.shape} and dtype {values.dtype}",
            expected="numbers [H, W] or [H, W, C]",
            fix="pass one image with its channels last",
        )
    values = values.astype(np.uint8) if values.dtype.kind == "b" else values
    return values[None] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(values, -1, 0))
