"""What a user hears of tiles that were blended: why, how large they were, and how far off that is."""

from collections.abc import Iterator

from uvala.runs.card import Card
from uvala.tiling.seams import Blend, Crop, difference

__all__ = ["Blended"]


class Blended:
    """A sentence for each way in which tiles of images so far were blended, in their order."""

    def __init__(self) -> None:
        self._sentences: dict[tuple[str, int], str] = {}

    def __iter__(self) -> Iterator[str]:
        """The sentences."""
        return iter(self._sentences.values())

    def __len__(self) -> int:
        """How many there are: none where no tile was blended."""
        return len(self._sentences)

    def hear(self, card: Card, blend: Blend) -> None:
        """Take in that tiles are blended; the first time, what it costs is measured on a crop.

        card: of the network, with the tiles that were planned.
        """
        known = blend.why, blend.tile
        if known in self._sentences:
            return
        self._sentences[known] = blend.why  # whatever the measurement comes to
        crop, planned = blend.crop(), card.tiles.size
        smaller = f"in tiles of {blend.tile} pixels instead of {planned}, for want of memory"
        parts = [blend.why, *([smaller] if blend.tile < planned else []), *_cost(crop, card)]
        self._sentences[known] = "; ".join(parts)


def _cost(crop: Crop | None, card: Card) -> list[str]:
    if crop is None or not crop.whole.std() > 0:
        return []
    classes = card.network.num_classes
    height, width = crop.whole.shape[1:]
    error = difference(crop.blended[:classes], crop.whole[:classes])
    return [
        f"on a crop of {width}x{height} pixels, blended from tiles of {crop.tile}, {error.changed:.2%} of the"
        " pixels change their class, and probabilities differ from those of one piece by"
        f" {error.mean:.2g} standard deviations on average and {error.largest:.2g} at most"
    ]
