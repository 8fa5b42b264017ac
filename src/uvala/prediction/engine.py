"""A run and an image make a prediction."""

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uvala.arrays import Box, ClassMap, ImageArray, LabelMap, Size
from uvala.data.dataset import convert_channels
from uvala.data.masks import MaskEncoding
from uvala.data.targets import OBJECTS
from uvala.errors import ShapeError
from uvala.images.display import class_colours, overlay
from uvala.images.lazy import LazyImage
from uvala.images.write import write_probabilities, write_rgb
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps, find_objects
from uvala.prediction.adjust import adjusted
from uvala.prediction.blended import Blended
from uvala.prediction.ensemble import (
    Member,
    load_members,
    mean_outputs,
    member_runs,
    require_alike,
)
from uvala.prediction.execution import Cutting, Execution
from uvala.prediction.together import mean_blocks
from uvala.prediction.uncertainty import disagreement_of, entropy_of
from uvala.runs.card import Card
from uvala.runs.folder import RunFolder, pick_device
from uvala.runs.inference import Outputs, output_blocks, predict_outputs
from uvala.tiling.config import TileConfig
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.tta import views_of

__all__ = [
    "ImagePredictor",
    "Prediction",
    "Predictor",
    "as_channels_first",
    "prediction_of",
    "use_of",
    "uses_learnt_maps",
    "with_channels",
]


@dataclass(frozen=True)
class Prediction:
    """What a network says about one image.

    image: [C, H, W], as it was given. mask: the likeliest class of each pixel, uint8 [H, W]. probabilities:
    float32 [K, H, W], which sum to 1 over K. encoding: how the data set trained on spells its classes.
    borders, distance: float32 [H, W], where the network learnt them: the part of class 1 that lies on an
    object's border, and how far inside an object a pixel is, 0 to 1. decoding: how objects are found.
    entropy: float32 [H, W], where it was asked for: how undecided each view and network is by itself, mean.
    """

    image: ImageArray
    mask: ClassMap
    probabilities: NDArray[np.float32]
    encoding: MaskEncoding
    borders: NDArray[np.float32] | None = None
    distance: NDArray[np.float32] | None = None
    decoding: ObjectConfig = field(default_factory=ObjectConfig)
    entropy: NDArray[np.float32] | None = None

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
        """What objects are found in."""
        if not uses_learnt_maps(self.decoding):
            return Maps(self.foreground)
        return Maps(self.foreground, self.borders, self.distance)

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """How undecided the prediction is at each pixel, its entropy: float32 [H, W], 0 to 1."""
        return entropy_of(self.probabilities)

    @property
    def disagreement(self) -> NDArray[np.float32] | None:
        """What of `uncertainty` comes from views and networks that contradict each other; None if unknown."""
        return None if self.entropy is None else disagreement_of(self.uncertainty, self.entropy)

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
        """The classes, or the objects that masks number, in colour over the image: uint8 RGB [H, W, 3]."""
        objects, colours = self._objects, class_colours(self.encoding.num_classes)
        if objects is None:
            return overlay(self.image, self.mask, colours, alpha=alpha)
        classes = np.where(objects > 0, self.decoding.object_class, 0).astype(np.uint8)
        return overlay(self.image, classes, colours, alpha=alpha, objects=objects)

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


class ImagePredictor(Protocol):
    """What predicts images, whatever it is made of."""

    @property
    def card(self) -> Card:
        """In which channels and classes, and how objects are found."""
        ...

    @property
    def identity(self) -> str:
        """A hash of what was learnt, and of what is said of its use."""
        ...

    @property
    def deciding_tiles(self) -> list[TileConfig]:
        """How images are cut, where the numbers depend on that; none where tiles are exact."""
        ...

    @property
    def votes(self) -> int:
        """How many views and networks are averaged."""
        ...

    @property
    def blended(self) -> Blended:
        """Why tiles of images so far were blended, where they were, and what that costs: each way once."""
        ...

    def cutting(self) -> Cutting:
        """How large images are cut; one whose numbers depend on another `said` is begun anew."""
        ...

    def __call__(self, image: ImageArray, *, spread: bool = False) -> Prediction:
        """As `Predictor` does."""
        ...

    def outputs_in_blocks(
        self,
        image: LazyImage,
        *,
        grid: int,
        finished: Collection[Box] = (),
        spread: bool = False,
        scratch: Path | None = None,
    ) -> Generator[tuple[Box, Outputs]]:
        """As `Predictor` does."""
        ...


class Predictor:
    """The network of a run, or the networks of its folds, loaded once, for any number of images.

    run: or several runs, whose networks are averaged; the first one's card then says how masks are spelt and
    how objects are found. test_time: which views of an image are averaged; None: those that the run's card
    names. settings: other tiles and other ways to find objects than the cards say, as of `adjusted`. backend,
    memory: as of `Execution`.

    RunError if runs are not alike, ConfigError for settings that cannot be.
    """

    def __init__(
        self,
        run: RunFolder | Sequence[RunFolder],
        device: str = "auto",
        *,
        test_time: TestTimeConfig | None = None,
        settings: Mapping[str, Any] | None = None,
        backend: str = "torch",
        memory: int | None = None,
    ) -> None:
        self.runs = (run,) if isinstance(run, RunFolder) else tuple(run)
        require_alike(self.runs)
        views = {} if test_time is None else {"test_time": test_time}
        self.card = adjusted(self.runs[0].card, settings or {}).model_copy(update=views)
        self.device = pick_device(device)
        self.execution = Execution(self.device, backend, memory)
        self.blended = Blended()
        members = [member for each in self.runs for member in load_members(each, self.device)]
        # how objects are found is the first card's to say
        cut = {path: value for path, value in (settings or {}).items() if path.startswith("tiles.")}
        self.members = [
            each._replace(card=adjusted(each.card, cut).model_copy(update=views)) for each in members
        ]
        # what cannot be is refused before the first image
        self.execution.require_usable(self.members)
        if memory is not None:
            self.cutting()

    @cached_property
    def identity(self) -> str:
        """A hash of the weights, and of what the cards say of their use."""
        weights = [_digest(each.weights_path) for run in self.runs for each in member_runs(run)]
        cards = [use_of(member.card) for member in (Member(self.members[0].model, self.card), *self.used)]
        said = json.dumps([weights, cards], sort_keys=True)
        return blake2b(said.encode(), digest_size=16).hexdigest()

    @property
    def deciding_tiles(self) -> list[TileConfig]:
        """How images are cut, where the numbers depend on that; none where tiles are exact."""
        return self.execution.deciding_tiles(self.used)

    @property
    def backends(self) -> list[str]:
        """What computes each network; with "auto", what was chosen."""
        return [self.execution.backend_of(member) for member in self.used]

    def keep_backends(self, names: Sequence[str]) -> None:
        """Let "auto" choose for each network what it chose before: it might measure otherwise now."""
        if self.execution.backend == "auto" and len(names) == len(self.used):
            models = (id(member.model) for member in self.used)
            self.execution.settled = dict(zip(models, names, strict=True))

    @property
    def votes(self) -> int:
        """How many views and networks are averaged."""
        return sum(len(views_of(member.card.test_time)) for member in self.used)

    def expect(self, images: int, size: Size) -> None:
        """Say how many images there are to predict, and how large most of them are, before the first one."""
        megapixels = images * size.height * size.width / 1e6
        self.execution.megapixels, self.execution.size = megapixels * self.votes / len(self.used), size

    def cutting(self) -> Cutting:
        """How a large image is cut; ConfigError if no tile fits the memory."""
        return self.execution.cutting(self.used)

    @property
    def used(self) -> list[Member]:
        """The networks, each with the card that says how to use it."""
        # a single network is used as this card says; those of folds have cards of their own
        alone = len(self.runs) == 1 and not self.card.members
        return [self.members[0]._replace(card=self.card)] if alone else self.members

    def __call__(self, image: ImageArray, *, spread: bool = False) -> Prediction:
        """The prediction for an image [C, H, W] of any dtype and size; ShapeError on wrong channels.

        spread: whether it shall know what views and networks do not agree on.
        """
        card = self.card
        converted = with_channels(image, card)
        outputs = mean_outputs(
            predict_outputs(
                self.execution.prepared(member).on(self.device),
                converted,
                spread=spread,
                on_blended=partial(self.blended.hear, member.card),
            )
            for member in self.used
        )
        return prediction_of(image, outputs, card)

    def outputs_in_blocks(
        self,
        image: LazyImage,
        *,
        grid: int,
        finished: Collection[Box] = (),
        spread: bool = False,
        scratch: Path | None = None,
    ) -> Generator[tuple[Box, Outputs]]:
        """What the networks say of an image of any size, box by box; ShapeError on wrong channels.

        The boxes cover the image, cut at multiples of `grid`. finished: areas that need not come again.
        scratch: a folder for what there is no room for in memory; None: it must be enough.
        """
        converted = self._converted(image)
        room = self.execution.scratch(scratch, len(self.used))
        streams = [
            output_blocks(
                member.on(self.device),
                converted,
                grid=grid,
                finished=finished,
                spread=spread,
                on_blended=partial(self.blended.hear, planned.card),
                scratch=room,
            )
            for planned, member in zip(self.used, self.execution.together(self.used), strict=True)
        ]
        yield from mean_blocks(streams, grid, finished, room)

    def _converted(self, image: LazyImage) -> LazyImage:
        """The image with the channels that the network wants."""
        card, read = self.card, image.read
        wanted = card.network.in_channels
        if image.channels == wanted:
            return image
        with_channels(read(Box(0, 0, 1, 1)), card)  # refuses at once what would be refused later
        whole = None if image.whole is None else with_channels(image.whole, card)
        return replace(image, channels=wanted, read=lambda box: with_channels(read(box), card), whole=whole)


def prediction_of(image: ImageArray, outputs: Outputs, card: Card) -> Prediction:
    """What networks say of an image [C, H, W], as the card tells how to use it."""
    return Prediction(
        image,
        outputs.probabilities.argmax(axis=0).astype(np.uint8),
        outputs.probabilities,
        card.encoding,
        outputs.borders,
        outputs.distance,
        card.objects.settings,
        outputs.entropy,
    )


def with_channels(image: ImageArray, card: Card) -> ImageArray:
    """The image [C, H, W] with as many channels as the network wants; ShapeError if it cannot have them.

    It is converted as the data trained on were. Otherwise nothing is made up or lost: grey is repeated for a
    network of RGB, and grey that was saved as RGB is grey again.
    """
    wanted = card.network.in_channels
    converted = convert_channels(image, card.data.channels)
    if len(converted) == wanted:
        return converted
    if wanted == 3 and len(converted) == 1:
        return convert_channels(converted, wanted)
    if wanted == 1 and len(converted) == 3 and (converted[1:] == converted[0]).all():
        return converted[:1]
    raise ShapeError(
        found=f"an image of {len(converted)} channel{'s' * (len(converted) > 1)}",
        expected=f"{wanted}, as in the images that the network was trained on",
        fix="save the image in grey, or train with `channels = 1` in dataset.toml, which converts all images"
        if (wanted, len(converted)) == (1, 3)
        else "give it those channels, or train on images like it",
    )


def uses_learnt_maps(decoding: ObjectConfig) -> bool:
    """Whether objects are those of the class that a network learns more of: borders, distances."""
    return decoding.object_class == OBJECTS


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


def use_of(card: Card) -> dict[str, Any]:
    """What of a card decides the numbers of a network, besides `deciding_tiles`."""
    used = {"network", "encoding", "normalisation", "test_time", "temperature", "data"}
    return card.model_dump(mode="json", include={name: True for name in used} | {"data": {"channels"}})


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, blake2b).hexdigest()
