"""A run and an image make a prediction."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uvala.arrays import ClassMap, ImageArray, LabelMap
from uvala.data.dataset import convert_channels
from uvala.data.masks import MaskEncoding
from uvala.data.targets import OBJECTS
from uvala.errors import ShapeError
from uvala.images.display import class_colours, overlay
from uvala.images.write import write_probabilities, write_rgb
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps, find_objects
from uvala.prediction.ensemble import load_members, mean_outputs, member_outputs
from uvala.runs.folder import RunFolder, pick_device
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["Prediction", "Predictor", "as_channels_first"]


@dataclass(frozen=True)
class Prediction:
    """What a network says about one image.

    image: [C, H, W], as it was given. mask: the likeliest class of each pixel, uint8 [H, W]. probabilities:
    float32 [K, H, W], which sum to 1 over K. encoding: how the data set trained on spells its classes.
    borders, distance: float32 [H, W], where the network learnt them: the part of class 1 that lies on an
    object's border, and how far inside an object a pixel is, 0 to 1. decoding: how objects are found.
    """

    image: ImageArray
    mask: ClassMap
    probabilities: NDArray[np.float32]
    encoding: MaskEncoding
    borders: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None
    decoding: ObjectConfig = field(default_factory=ObjectConfig)

    @property
    def foreground(self) -> NDArray[np.float32]:
        """Probability of the class whose pixels are objects: float32 [H, W]."""
        return self.probabilities[self.decoding.object_class]

    @cached_property
    def objects(self) -> LabelMap:
        """Objects of that class, numbered 1 to n: int32 [H, W], 0 outside; found as the run's card says."""
        maps = self.maps
        return find_objects(maps.foreground, self.decoding, borders=maps.borders, distance=maps.distance)

    @property
    def maps(self) -> Maps:
        """What objects are found in; what was learnt besides the classes is of class 1 and of no other."""
        if self.decoding.object_class != OBJECTS:
            return Maps(self.foreground)
        return Maps(self.foreground, self.borders, self.distance)

    @property
    def encoded(self) -> NDArray[np.generic]:
        """The mask in the encoding of the data set trained on: values [H, W] or colours [H, W, 3]."""
        return self.encoding.encode(self.mask, self._objects)

    @property
    def written_classes(self) -> tuple[int, ...]:
        """The classes that `encoded` holds, ascending: of masks that number objects, those of the objects."""
        written = self.mask if self._objects is None else self._objects > 0
        return tuple(int(index) for index in np.unique(written))

    @property
    def _objects(self) -> LabelMap | None:
        """The objects, where the masks trained on number them."""
        return self.objects if self.encoding.kind == "instances" else None

    def overlay(self, alpha: float = 0.45) -> NDArray[np.uint8]:
        """The classes in colour over the image: uint8 RGB [H, W, 3]."""
        return overlay(self.image, self.mask, class_colours(self.encoding.num_classes), alpha=alpha)

    def save(self, path: str | Path) -> Path:
        """Write the mask in the encoding of the data set trained on; where it lies.

        A name in .png becomes one in .tif if there are more objects than a PNG can number.
        """
        return self.encoding.write(Path(path), self.mask, self._objects)

    def save_overlay(self, path: str | Path) -> None:
        """Write the overlay as PNG."""
        write_rgb(Path(path), self.overlay())

    def save_probabilities(self, path: str | Path) -> None:
        """Write the probabilities as a float32 TIFF with a page per class."""
        write_probabilities(Path(path), self.probabilities)


class Predictor:
    """The network of a run, or the networks of its folds, loaded once, for any number of images.

    test_time: which views of an image are averaged; None: those that the run's card names.
    """

    def __init__(
        self, run: RunFolder, device: str = "auto", *, test_time: TestTimeConfig | None = None
    ) -> None:
        views = {} if test_time is None else {"test_time": test_time}
        self.card = run.card.model_copy(update=views)
        self.device = pick_device(device)
        members = load_members(run, self.device)
        self.members = [each._replace(card=each.card.model_copy(update=views)) for each in members]

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
        # a single network is used as this card says; those of folds have cards of their own
        members = self.members if card.members else [self.members[0]._replace(card=card)]
        outputs = mean_outputs([member_outputs(member, converted, self.device) for member in members])
        return Prediction(
            image,
            outputs.probabilities.argmax(axis=0).astype(np.uint8),
            outputs.probabilities,
            card.encoding,
            outputs.borders,
            outputs.distance,
            card.objects.settings,
        )


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
