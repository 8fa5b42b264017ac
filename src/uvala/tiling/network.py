"""A network as tiles see it: in all views of the image, and told of the whole of it where it has to be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.errors import ShapeError
from uvala.tiling.ahead import Reader, read_ahead
from uvala.tiling.demand import Demands, Unforeseen, only_needed
from uvala.tiling.geometry import Tile, hull, moved
from uvala.tiling.one_colour import Answers, colour_of
from uvala.tiling.tta import View
from uvala.tiling.whole import InTile, Moments, StatisticNeeded, Survey

__all__ = ["Activation", "Known", "TiledNetwork", "class_probabilities", "evaluating"]

Activation = Callable[[Tensor], Tensor]
"""Makes outputs [..., N] of logits [..., L], pixel by pixel; float32 or better, channels last."""


def class_probabilities(logits: Tensor) -> Tensor:
    """The softmax over the last axis: [..., K] -> [..., K]; of one logit its sigmoid: [..., 2]."""
    if logits.shape[-1] == 1:
        # the background's logit is then 0, and the softmax of both is that sigmoid
        logits = torch.cat([torch.zeros_like(logits), logits], dim=-1)
    return logits.softmax(dim=-1)


Known = Sequence[dict[int, Moments]]
"""The known statistics of the whole image: of each view, by the place of the call that wants them."""


@dataclass(frozen=True)
class TiledNetwork:
    """A network on its device, and how it looks at one image.

    multiple, halo: as `models.facts.measure` finds them; no halo: tiles are blended. activate: what makes
    outputs of its logits. views: whose outputs are averaged. frame: the size of the image, or of what the
    views are mirrored in. surveys: of each view, what the network does with the whole of it; none where it
    need not know, since the image is in one piece or its tiles are blended. answers: to images of one colour.
    demands: what a part of a tile depends on.
    """

    model: nn.Module
    device: torch.device
    multiple: int
    halo: int | None
    activate: Activation
    views: Sequence[View]
    frame: Size
    surveys: Sequence[Survey] = ()
    answers: Answers = field(default_factory=Answers)
    demands: Demands = field(default_factory=Demands)

    @property
    def needs_telling(self) -> bool:
        """Whether a tile has to know anything of the whole image."""
        return any(each.needed for each in self.surveys)

    def boxes(self, tiles: Sequence[Tile]) -> Iterator[Box]:
        """Of what `outputs` wants the pixels for these tiles, in their order."""
        return (self._box(view, self._in_view(view, tile)) for view in self.views for tile in tiles)

    def outputs(self, pixels: Iterator[Tensor], tiles: Sequence[Tile], known: Known = ()) -> list[Tensor]:
        """What the network says of the part that each tile writes: [N, height, width] each, on the device.

        pixels: of the `boxes` of these tiles and of those to come. tiles: equally large, for a batch; one
        alone where the network is told of the whole image. known: of `gather`, where it needs telling.
        """
        totals: list[Tensor] = []
        for number, view in enumerate(self.views):
            places = [self._in_view(view, tile) for tile in tiles]
            images = [view.of(next(pixels)) for _ in places]
            if self.needs_telling:
                (image,), (place,) = images, places
                with self.inside(number, place, known[number]):
                    said = [self._seen(image[None])[0, :, *place.kept.slices]]
            else:
                said = self._said(images, [place.kept for place in places])
            parts = [view.back(each) for each in said]
            totals = [total + part for total, part in zip(totals, parts, strict=True)] if number else parts
        return [total / len(self.views) for total in totals] if len(self.views) > 1 else totals

    def gather(self, read: Reader, plan: Sequence[Tile]) -> list[dict[int, Moments]]:
        """The statistics of the whole image, which the parts that the tiles write cover once."""
        known: list[dict[int, Moments]] = [{} for _ in self.views]
        for number, (view, survey) in enumerate(zip(self.views, self.surveys, strict=True)):
            places = [self._in_view(view, tile) for tile in plan]
            for wanted in survey.statistics:
                gathered = Moments()
                with closing(read_ahead(read, [self._box(view, place) for place in places])) as pixels:
                    for place, image in zip(places, pixels, strict=True):
                        with suppress(StatisticNeeded), self.inside(number, place, known[number], gathered):
                            self._seen(view.of(image)[None])
                known[number][wanted] = gathered
        return known

    def _in_view(self, view: View, tile: Tile) -> Tile:
        """The tile in the frame of a view, where it begins at multiples too."""
        read, write = (view.within(box, self.frame) for box in (tile.read, tile.write))
        height, width = view.size(self.frame)
        # where the frame is no multiple, what is mirrored is cut between two of them
        ends = (read.top, read.left, read.bottom % height, read.right % width)
        if self.halo is None or not any(end % self.multiple for end in ends):
            return Tile(read=read, write=write)
        return Tile(
            read=Box(
                max(0, self._before(write.top - self.halo)),
                max(0, self._before(write.left - self.halo)),
                min(height, -self._before(-write.bottom - self.halo)),
                min(width, -self._before(-write.right - self.halo)),
            ),
            write=write,
        )

    def _before(self, place: int) -> int:
        """The multiple at or before a place."""
        return place // self.multiple * self.multiple

    def _box(self, view: View, place: Tile) -> Box:
        """What a tile of the view reads, in the frame."""
        return view.box(place.read, self.frame)

    def inside(
        self, number: int, place: Tile, known: dict[int, Moments], gather: Moments | None = None
    ) -> AbstractContextManager[object]:
        """Inside, the network is told of the whole image where a tile of view `number` is a part of it."""
        size = self.views[number].size(self.frame)
        return InTile(self.surveys[number], place.read, place.kept, size, known, gather)

    def _said(self, images: Sequence[Tensor], kept: Sequence[Box]) -> list[Tensor]:
        """What the network says of a part of images [C, h, w] that it is told nothing else of.

        [N, height, width] each, of the size of its part.
        """
        colours = [colour_of(image) for image in images]
        varied = [
            (image, box) for image, box, colour in zip(images, kept, colours, strict=True) if colour is None
        ]
        if len(varied) > 1 and len({image.shape for image, _ in varied}) == 1:
            said = self._parts(torch.stack([image for image, _ in varied]), [box for _, box in varied])
        else:  # of several sizes in a mirrored view, where the image ends between multiples
            said = [part for image, box in varied for part in self._parts(image[None], [box])]
        answers = iter(said)
        return [
            next(answers)
            if colour is None
            else self.answers.of(colour, image, lambda single: self._seen(single[None])[0])[:, *box.slices]
            for colour, image, box in zip(colours, images, kept, strict=True)
        ]

    def _parts(self, images: Tensor, kept: Sequence[Box]) -> list[Tensor]:
        """[B, C, h, w] -> the activated logits of a part of each, [N, height, width]."""
        outputs, there = self.compute(images.to(self.device), hull(kept))
        places = [moved(box, -there.top, -there.left) for box in kept]
        return [each[:, *place.slices] for each, place in zip(outputs, places, strict=True)]

    def _seen(self, images: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, N, h, w]: the activated logits, in float32 or better."""
        outputs, _ = self.compute(images.to(self.device))
        return outputs

    @torch.inference_mode()
    def compute(self, images: Tensor, wanted: Box | None = None) -> tuple[Tensor, Box]:
        """As `_seen`, of images that lie where the network does; and the box that the outputs are of.

        wanted: the part of the images that has to be in it; None for all.
        """
        if self.device.type == "cpu":
            # 0.66 to 0.81 of the time (unet of width 16 to 64, pocket_unet; 2 cores, AVX2). A clone, since
            # `to` and `contiguous` leave an image of one channel as it is, and every layer after it would
            # follow.
            images = images.clone(memory_format=torch.channels_last)
        logits, box = self._logits(images, wanted)
        # A pixel a row: across pixels, PyTorch takes exp in vectors and what is left over one by one, so that
        # the last bit would depend on where in its tile a pixel lies.
        rows = logits.to(torch.promote_types(logits.dtype, torch.float32)).permute(0, 2, 3, 1).contiguous()
        return self.activate(rows).permute(0, 3, 1, 2), box

    def _logits(self, images: Tensor, wanted: Box | None) -> tuple[Tensor, Box]:
        whole = Box(0, 0, *images.shape[2:])
        if wanted not in (None, whole):
            demand = self.demands.of(self.model, images, wanted)
            if demand.pays:
                with suppress(Unforeseen):
                    return only_needed(self.model, images, demand)
        logits: Tensor = self.model(images)
        if logits.shape[2:] != images.shape[2:]:
            raise ShapeError(
                found=f"logits of {Size(*logits.shape[2:])} for an image of {Size(*images.shape[2:])} pixels",
                expected="a logit for each pixel",
                fix="of a network with valid convolutions, mirror the border (borders='mirror')",
            )
        return logits, whole


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards each module is back in its own mode, which need not be the model's."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
