"""Pictures to look at: images of any kind as 8-bit RGB, classes laid over them, the errors of a prediction.

All pictures are uint8 [H, W, 3].
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import IGNORE, ClassMap, ImageArray, LabelMap
from uvala.errors import ShapeError

__all__ = ["ERROR_COLOURS", "class_colours", "error_map", "lay_over", "overlay", "paint", "to_display"]

Picture = NDArray[np.uint8]
Colours = NDArray[np.uint8]

ERROR_COLOURS = {
    "right, background": (38, 40, 46),
    "right": (150, 153, 160),
    "missed": (255, 94, 58),
    "spurious": (45, 156, 255),
    "wrong class": (255, 210, 63),
    "ignored": (236, 236, 238),
}
"""What `error_map` paints, for legends. Orange, blue and yellow stay apart for colour-blind readers."""

# Class 0, then the palette of Okabe and Ito (2008), "Color universal design", without its black and with its
# darker colours lightened, so that each stands out on a dark image as well as on a bright one.
_FIRST_COLOURS = (
    (30, 32, 40),
    (40, 178, 255),
    (255, 159, 10),
    (20, 190, 130),
    (250, 230, 66),
    (204, 121, 200),
    (235, 84, 40),
    (40, 100, 230),
)
_STRETCH = (0.5, 99.5)  # percentiles that become black and white
_DARK = 128  # an 8-bit image is brightened if 99.5% of its pixels are below
_LEAST_RANGE = 16  # of 255: below, brightening would show noise as if it were an image
_SAMPLE = 1 << 18  # pixels from which percentiles are estimated


def to_display(image: ImageArray) -> Picture:
    """`image` [C, H, W] of any dtype as a picture.

    8-bit values stay as they are, unless the image is dark; all others are stretched per channel from the
    0.5th to the 99.5th percentile. One channel becomes grey, two become red and green, of more than three the
    first three are shown. NaN is black.
    """
    if image.ndim != 3:
        raise ShapeError(
            found=f"an image of shape {list(image.shape)}",
            expected="[C, H, W]",
            fix="move the channels first",
        )
    channels = [_to_8_bit(channel) for channel in image[:3]]
    if len(channels) == 1:
        channels *= 3
    elif len(channels) == 2:
        channels.append(np.zeros_like(channels[0]))
    return np.stack(channels, axis=-1)


def _to_8_bit(channel: NDArray[np.generic]) -> NDArray[np.uint8]:
    if channel.dtype == bool:
        return channel.astype(np.uint8) * np.uint8(255)
    step = max(1, int((channel.size / _SAMPLE) ** 0.5))
    sample = channel[::step, ::step].astype(np.float64)
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, _STRETCH) if sample.size else (0.0, 0.0)
    if channel.dtype == np.uint8 and (high >= _DARK or high - low < _LEAST_RANGE):
        return channel.astype(np.uint8)
    if high <= low:  # flat but for less than half a percent: those few are all there is to see
        low, high = (sample.min(), sample.max()) if sample.size else (0.0, 0.0)
    if high <= low:
        return np.full(channel.shape, 0 if low == 0 else 128, np.uint8)
    low, high = np.float32(low), np.float32(high)
    with np.errstate(over="ignore", invalid="ignore"):  # a range beyond float32 comes out black
        stretched = (np.clip(channel.astype(np.float32), low, high) - low) / (high - low)
    return (np.nan_to_num(stretched, nan=0.0) * np.float32(255)).round().astype(np.uint8)


@lru_cache
def _colour_table(count: int) -> Colours:
    """uint8 [count, 3]: the first eight by hand, each further one as far as possible from all before it."""
    chosen = np.array(_FIRST_COLOURS, np.uint8)[:count]
    if count <= len(_FIRST_COLOURS):
        return chosen
    levels = np.linspace(40, 255, 13).round().astype(np.uint8)
    candidates = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    lightness = _as_seen(candidates)[:, 0, 0]
    candidates = candidates[(lightness > 0.45) & (lightness < 0.95)]  # neither background nor paper
    seen, seen_chosen = _as_seen(candidates), _as_seen(chosen)
    nearest = np.min([_difference(seen, one) for one in seen_chosen], axis=0)
    picks = list(chosen)
    while len(picks) < count:
        best = int(nearest.argmax())
        picks.append(candidates[best])
        nearest = np.minimum(nearest, _difference(seen, seen[best]))
    return np.array(picks, np.uint8)


def class_colours(num_classes: int) -> Colours:
    """Colours of the classes 0 to K-1, uint8 [K, 3]: distinct, also for colour-blind eyes; class 0 is dark.

    The colour of a class does not depend on how many there are.
    """
    return _colour_table(num_classes).copy()


def _as_seen(colours: Colours) -> NDArray[np.float64]:
    """Oklab coordinates [N, 3 kinds of eyes, 3]: normal, protanope, deuteranope.

    Sources: Ottosson (2020), "A perceptual color space for image processing"; Vienot, Brettel and Mollon
    (1999), "Digital video colourmaps for checking the legibility of displays by dichromats".
    """
    linear = np.where(colours <= 10, colours / 255 / 12.92, ((colours / 255 + 0.055) / 1.055) ** 2.4)
    protanope = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deuteranope = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    eyes = np.stack([np.eye(3), protanope, deuteranope])
    rgb = np.einsum("eij,nj->nei", eyes, linear).clip(0)
    to_cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    to_lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.cbrt(rgb @ to_cones.T) @ to_lab.T


def _difference(seen: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    """How different colours [N, 3, 3] look from one [3, 3], to the eyes that tell them apart worst: [N]."""
    # colour-blind eyes have two dimensions where others have three: at equal weight they would decide alone
    return (np.linalg.norm(seen - one, axis=-1) * (1.0, 1.5, 1.5)).min(axis=-1)


def paint(classes: ClassMap, colours: Colours) -> Picture:
    """A class map, uint8 [H, W], in its colours; ignored pixels are hatched."""
    picture = _table(colours)[classes]
    picture[classes == IGNORE] = ERROR_COLOURS["ignored"]
    picture[(classes == IGNORE) & _stripes(classes.shape)] = (196, 196, 200)
    return picture


def overlay(
    image: ImageArray,
    classes: ClassMap,
    colours: Colours,
    alpha: float = 0.45,
    outline: bool = True,
    objects: LabelMap | None = None,
) -> Picture:
    """`image` [C, H, W] with its classes, uint8 [H, W], filled in colour and outlined.

    Class 0 shows the image; ignored pixels are hatched. alpha: how strongly the fill covers the image, 0 to
    1. The outline lies inside each region; it is wider on large images, so that it survives scaling down.
    objects: numbers [H, W], to outline each of those that touch, too.
    """
    if image.shape[-2:] != classes.shape:
        raise ShapeError(
            found=f"an image {list(image.shape)} and classes {list(classes.shape)}",
            expected="equal height and width",
            fix="give the class map of this image",
        )
    return lay_over(to_display(image), classes, colours, alpha, outline, objects)


def lay_over(
    picture: Picture,
    classes: ClassMap,
    colours: Colours,
    alpha: float = 0.45,
    outline: bool = True,
    objects: LabelMap | None = None,
) -> Picture:
    """`picture`, uint8 [H, W, 3], with its classes, uint8 [H, W], as in `overlay`; its own colours stay."""
    picture = picture.copy()
    table = _table(colours)
    filled = (classes != 0) & (classes != IGNORE)
    picture[filled] = _blend(picture[filled], table[classes[filled]], alpha)
    if outline:
        regions = classes if objects is None else objects
        edge = filled & _edges(regions, width=max(1, round(min(classes.shape) / 512)))
        # a little white in the line sets it off from a fill of the same colour
        picture[edge] = _blend(table[classes[edge]], np.full(3, 255, np.uint8), 0.25)
    hatched = (classes == IGNORE) & _stripes(classes.shape)
    picture[hatched] = _blend(picture[hatched], np.full(3, 235, np.uint8), 0.5)
    return picture


def error_map(prediction: ClassMap, truth: ClassMap) -> Picture:
    """Where a prediction is right and how it is wrong, both uint8 [H, W]; see ERROR_COLOURS.

    Missed: truth has an object class, prediction has class 0. Spurious: the reverse. Wrong class: both have
    one, but not the same. Pixels that the truth ignores are white.
    """
    if prediction.shape != truth.shape:
        raise ShapeError(
            found=f"a prediction {list(prediction.shape)} and a truth {list(truth.shape)}",
            expected="equal height and width",
            fix="compare masks of the same image",
        )
    kinds = list(ERROR_COLOURS)
    kind = np.select(
        [
            truth == IGNORE,
            (prediction == truth) & (truth == 0),
            prediction == truth,
            prediction == 0,
            truth == 0,
        ],
        [kinds.index(name) for name in ("ignored", "right, background", "right", "missed", "spurious")],
        kinds.index("wrong class"),
    )
    return np.array(list(ERROR_COLOURS.values()), np.uint8)[kind]


def _table(colours: Colours) -> Colours:
    """`colours` for each value that a class map may hold; white where there is none."""
    table = np.full((256, 3), 255, np.uint8)
    table[: len(colours)] = colours
    return table


def _blend(below: NDArray[np.uint8], above: NDArray[np.uint8], alpha: float) -> NDArray[np.uint8]:
    return (below * (1 - alpha) + above * alpha).round().astype(np.uint8)


def _edges(regions: ClassMap | LabelMap, width: int) -> NDArray[np.bool_]:
    """Pixels within `width` of another region, up, down, left or right; the image's border is no edge."""
    edge = np.zeros(regions.shape, bool)
    for step in range(1, width + 1):
        rows = regions[step:] != regions[:-step]
        columns = regions[:, step:] != regions[:, :-step]
        edge[step:] |= rows
        edge[:-step] |= rows
        edge[:, step:] |= columns
        edge[:, :-step] |= columns
    return edge


def _stripes(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Diagonal lines, two pixels wide and six apart."""
    return np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 8 < 2
