"""Images of one colour, such as the empty parts of a slide: a network need say only once what it sees there.

In a tile that is told nothing of the whole image the answer depends on the pixels alone, so that remembering
it changes no number.
"""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor

__all__ = ["MOST_ANSWERS", "Answers", "colour_of"]

MOST_ANSWERS = 4
"""Inside an image and at the ends of its rows, tiles differ in size; in two colours, say."""

Colour = tuple[float, ...]
"""The values of the channels."""


def colour_of(image: Tensor) -> Colour | None:
    """The colour of an image [C, H, W] if all its pixels have it; None if they differ, or are no numbers."""
    first = image[:, :1, :1]
    # most images differ in their first row, and then the rest need not be looked at
    if (image[:, 0] == first[:, 0]).all() and (image == first).all():
        return tuple(first.flatten().tolist())
    return None


class Answers:
    """What a network said of the last few images of one colour."""

    def __init__(self, most: int = MOST_ANSWERS) -> None:
        self.most = most
        self._known: OrderedDict[tuple[Colour, int, int], Tensor] = OrderedDict()

    def of(self, colour: Colour, image: Tensor, ask: Callable[[Tensor], Tensor]) -> Tensor:
        """The answer to an image of that colour, which is asked for if it is not known; not to be altered."""
        key = (colour, image.shape[-2], image.shape[-1])
        if key not in self._known:
            while len(self._known) >= self.most:
                self._known.popitem(last=False)
            self._known[key] = ask(image)
        self._known.move_to_end(key)
        return self._known[key]
