"""An exported file and an image make a prediction, as a run folder does."""

import json
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uvala.arrays import Box, ImageArray, Size
from uvala.data.normalise import scale_of
from uvala.images.lazy import LazyImage
from uvala.prediction.adjust import adjusted
from uvala.prediction.blended import Blended
from uvala.prediction.engine import Prediction, prediction_of, use_of, with_channels
from uvala.prediction.execution import Cutting, cutting_of
from uvala.prediction.file_card import MASK, FileCard
from uvala.prediction.file_kinds import SUFFIXES
from uvala.prediction.session import Session, open_session
from uvala.runs.inference import Outputs, parted, with_entropy
from uvala.tiling.ahead import Reader
from uvala.tiling.config import TileConfig
from uvala.tiling.run import predict_blocks, predict_from_reader
from uvala.tiling.shelf import Scratch
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.tta import views_of
from uvala.tiling.use import TiledUse

__all__ = ["ExportedPredictor"]


class ExportedPredictor:
    """A file of `uvala export`, opened once, for any number of images: a `prediction.engine.ImagePredictor`.

    file: .onnx or .xml, or what `open_session` made of it. test_time: which views of an image are averaged;
    None: those that its card names. settings: as of `adjusted`. Large images are cut into tiles that give the
    numbers of the whole, where the network is such that the file alone can do it; otherwise overlapping tiles
    are blended. RunError, BackendError as of `open_session`; ConfigError for settings that cannot be.
    """

    def __init__(
        self,
        file: str | Path | Session,
        *,
        test_time: TestTimeConfig | None = None,
        settings: Mapping[str, Any] | None = None,
        threads: int | None = None,
    ) -> None:
        self.session = file if isinstance(file, Session) else open_session(file, threads=threads)
        views = {} if test_time is None else {"test_time": test_time}
        self.card = adjusted(self.session.card.card, settings or {}).model_copy(update=views)
        self.blended = Blended()

    @cached_property
    def identity(self) -> str:
        """A hash of the file and of how it is used."""
        total = blake2b(json.dumps(use_of(self.card), sort_keys=True).encode(), digest_size=16)
        path = self.session.path
        # OpenVINO keeps the weights in a file beside
        weights = [path.with_suffix(".bin")] if path.suffix.lower() == SUFFIXES["openvino"] else []
        for each in (path, *weights):
            total.update(blake2b(each.read_bytes()).digest())
        return total.hexdigest()

    @property
    def deciding_tiles(self) -> list[TileConfig]:
        """How images are cut, where the numbers depend on that; none where tiles are exact."""
        exact = self.session.card.halo is not None and self.card.tiles.mode == "exact"
        return [] if exact else [self.card.tiles]

    @property
    def votes(self) -> int:
        """How many views are averaged; what networks inside the file differ in cannot be seen."""
        return len(views_of(self.card.test_time))

    def cutting(self) -> Cutting:
        """How a large image is cut: as the card says."""
        return cutting_of([self.card.tiles], torch.device("cpu"))

    def __call__(self, image: ImageArray, *, spread: bool = False) -> Prediction:
        """The prediction for an image [C, H, W] of any dtype and size; ShapeError on wrong channels.

        spread: whether it shall know what views do not agree on.
        """
        converted = self._converted(image)
        read = _as_floats(lambda box: converted[:, *box.slices])
        maps = predict_from_reader(self._in_tiles(converted, spread), read, Size(*image.shape[1:]))
        return prediction_of(image, parted(maps, self.card.network.objects, spread), self.card)

    def outputs_in_blocks(
        self,
        image: LazyImage,
        *,
        grid: int,
        finished: Collection[Box] = (),
        spread: bool = False,
        scratch: Path | None = None,
    ) -> Generator[tuple[Box, Outputs]]:
        """What the file says of an image of any size, box by box, cut at multiples of `grid`.

        finished: areas that need not come again. scratch: a folder for what there is no room for in memory.
        ShapeError on wrong channels.
        """
        wanted = replace(
            image, channels=self.card.network.in_channels, read=self._converted_boxes(image), whole=None
        )
        use, read = self._in_tiles(wanted, spread), _as_floats(wanted.read)
        room = None if scratch is None else Scratch(scratch)
        blocks = predict_blocks(use, read, image.size, grid=grid, finished=finished, scratch=room)
        with closing(blocks):
            for box, maps in blocks:
                yield box, parted(maps, self.card.network.objects, spread)

    def _converted_boxes(self, image: LazyImage) -> Callable[[Box], ImageArray]:
        self._converted(image.read(Box(0, 0, 1, 1)))  # refuses at once what would be refused later
        return lambda box: self._converted(image.read(box))

    def _converted(self, image: ImageArray) -> ImageArray:
        """The image with the channels that the network wants; ShapeError if it cannot have them."""
        return with_channels(image, self.card)

    def _in_tiles(self, image: ImageArray | LazyImage, spread: bool) -> TiledUse:
        """The file as `tiling` is to use it on this image."""
        card, facts = self.card, self.session.card
        levels = None
        if facts.levels:
            scale = scale_of(image, card.normalisation)
            levels = np.stack([scale.low, scale.high], axis=-1).astype(np.float32)[None]
        return TiledUse(
            _FileNetwork(self.session, levels),
            device=torch.device("cpu"),
            halo=facts.halo,
            multiple=facts.multiple,
            tiles=card.tiles,
            activate=with_entropy(_as_they_are, card.network.num_classes) if spread else _as_they_are,
            test_time=card.test_time,
            on_blended=partial(self.blended.hear, card),
        )


def _as_floats(read: Callable[[Box], ImageArray]) -> Reader:
    """The same boxes as `read`, as the file takes them."""
    return lambda box: torch.from_numpy(np.array(read(box), np.float32))


class _FileNetwork(nn.Module):
    """The file as tiles see it: images [B, C, H, W] as they are -> its maps [B, N, H, W]."""

    def __init__(self, session: Session, levels: NDArray[np.float32] | None) -> None:
        super().__init__()
        self.session, self.levels = session, levels
        card = session.card
        self.multiple, self.padded_to, self.slack = card.multiple, card.padded_to, card.slack

    def forward(self, images: Tensor) -> Tensor:
        card = self.session.card
        if images.is_meta:  # asked for shapes alone
            return images.new_empty(len(images), _maps(card), *images.shape[2:])
        levels = None if self.levels is None else np.repeat(self.levels, len(images), axis=0)
        found = self.session.outputs(images.numpy(), levels)
        maps = [found[name] for name in card.outputs if name != MASK]
        return torch.from_numpy(np.concatenate([each.reshape(_as_maps(each)) for each in maps], axis=1))


def _as_maps(array: NDArray[Any]) -> tuple[int, ...]:
    """[B, N, H, W] for an array [B, N, H, W] or [B, H, W]."""
    return array.shape if array.ndim == 4 else (len(array), 1, *array.shape[1:])


def _maps(card: FileCard) -> int:
    """Maps that a file gives: one for each class, and what else was learnt."""
    return card.card.network.num_classes + (card.card.network.objects != "classes")


def _as_they_are(maps: Tensor) -> Tensor:
    return maps
