"""A prediction as files: each map of it in the form that was asked for, wherever its numbers lie."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Box, LabelMap, Size
from uvala.data.masks import MaskEncoding
from uvala.errors import ConfigError
from uvala.images.boxes import PixelFacts
from uvala.images.pyramid import write_ome_tiff, write_ome_zarr
from uvala.images.stage import Layer
from uvala.images.write import write_mask
from uvala.prediction.engine import Prediction
from uvala.prediction.layers import channel_names, precision_of, quantised, uncertainty_maps
from uvala.prediction.wanted import Wanted

__all__ = [
    "Form",
    "Map",
    "form_of",
    "form_of_maps",
    "mask_map",
    "numbers_map",
    "require_writable",
    "write_map",
    "write_prediction",
]

Form = Literal["png", "tiff", "zarr"]

_SUFFIXES = {"png": ".png", "tiff": ".tif", "zarr": ".zarr"}
_MOST_IN_PNG = 2**29  # pixels: a PNG is made in memory


@dataclass(frozen=True)
class Map:
    """Numbers of each pixel of an image: `read` gives them for a box, [channels, height, width].

    names: of the channels. palette: uint8 [N, 3], what the numbers look like. discrete: numbers that mean
    something, classes or objects, between which there is nothing. rgb: the channels are a colour.
    """

    read: Callable[[Box], NDArray[Any]]
    size: Size
    layer: Layer
    names: tuple[str, ...] = ()
    palette: NDArray[np.uint8] | None = None
    discrete: bool = False
    rgb: bool = False

    @classmethod
    def of(cls, values: NDArray[Any], **about: Any) -> "Map":
        """Of an array [channels, H, W]."""
        layer = Layer(len(values), values.dtype)
        return cls(lambda box: values[:, *box.slices], Size(*values.shape[1:]), layer, **about)


def form_of(wanted: Wanted, facts: PixelFacts, *, large: bool) -> Form:
    """What files of an image's results are; a PNG knows neither a place on earth nor a pyramid."""
    if wanted.format == "auto":
        return "tiff" if large or facts.geo else "png"
    return wanted.format


def form_of_maps(form: Form) -> Form:
    """What probabilities and uncertainty are beside masks of a form: not PNG, which has no floats."""
    return "tiff" if form == "png" else form


def require_writable(form: Form, size: Size) -> None:
    """ConfigError if results of `size` cannot have this form; to be asked before hours are spent on them."""
    if form == "png" and size.height * size.width > _MOST_IN_PNG:
        raise ConfigError(
            found=f"--format png for an image of {size} pixels",
            expected=f"at most {_MOST_IN_PNG:,} pixels, since a PNG is made in memory",
            fix="predict it into another --out with --format tiff or zarr",
        )


def write_map(path: Path, form: Form, values: Map, facts: PixelFacts) -> Path:
    """Write a map and return where it lies: `path` with the ending of its form.

    facts: of the image that it belongs to; a PNG holds none of them. StorageError if it cannot be written,
    ConfigError as of `require_writable`.
    """
    path = path.with_name(path.name + _SUFFIXES[form])
    if form == "png":
        return _write_png(path, values)
    write = write_ome_tiff if form == "tiff" else write_ome_zarr
    write(
        path,
        values.read,
        values.size,
        values.layer,
        facts=facts,
        names=values.names,
        colours=values.palette,
        rgb=values.rgb,
        nearest=values.discrete,
    )
    return path


def mask_map(
    encoding: MaskEncoding,
    size: Size,
    classes: Callable[[Box], NDArray[np.uint8]],
    objects: tuple[Callable[[Box], NDArray[np.int32]], int] | None = None,
) -> Map:
    """A mask as its user spells it. classes: reads class indices [height, width].

    objects: reads numbers of objects, and how many there are, where masks number them.
    """
    dtype = np.dtype(encoding.dtype)
    if objects is not None:
        read_objects, count = objects
        dtype = dtype if count <= np.iinfo(dtype).max else np.dtype(np.int32)
    colours = encoding.kind == "colours"

    def read(box: Box) -> NDArray[Any]:
        found = None if objects is None else read_objects(box)
        values = encoding.encode(classes(box), found)
        return np.moveaxis(values, -1, 0) if colours else values[None].astype(dtype, copy=False)

    layer = Layer(3, np.dtype(np.uint8)) if colours else Layer(1, dtype)
    palette = None if encoding.palette is None else np.array(encoding.palette, np.uint8)
    if palette is not None and (dtype != np.uint8 or (objects and objects[1] >= len(palette))):
        palette = None
    return Map(read, size, layer, palette=palette, discrete=True, rgb=colours)


def numbers_map(numbers: Callable[[Box], LabelMap], size: Size, count: int) -> Map:
    """The numbers of `count` objects: in 16 bits, which all viewers read, or in 32 if there are too many."""
    dtype = np.dtype(np.uint16 if count <= np.iinfo(np.uint16).max else np.int32)
    return Map(lambda box: numbers(box)[None].astype(dtype, copy=False), size, Layer(1, dtype), discrete=True)


def write_prediction(
    prediction: Prediction, facts: PixelFacts, out: Path, target: Path, wanted: Wanted
) -> Path:
    """Write what is wanted of a prediction in memory, but for its objects; where the mask lies."""
    form = form_of(wanted, facts, large=False)
    path = _write_mask(prediction, facts, out / target, form)
    if wanted.overlays:
        prediction.save_overlay(out / "overlays" / target.parent / f"{target.name}.png")
    kind = precision_of(wanted.precision, large=False)
    maps = {}
    if wanted.probabilities:
        maps["probabilities"] = prediction.probabilities
    if wanted.uncertainty:
        maps["uncertainty"] = uncertainty_maps(prediction.probabilities, prediction.entropy)
    for name, values in maps.items():
        names = channel_names(prediction.encoding, name)[: len(values)]
        stored = Map.of(quantised(values, kind), names=names)
        write_map(out / name / target, form_of_maps(form), stored, facts)
    return path


def _write_mask(prediction: Prediction, facts: PixelFacts, path: Path, form: Form) -> Path:
    if form == "png":
        return prediction.save(path.with_name(f"{path.name}.png"))
    encoding, objects = prediction.encoding, None
    if encoding.kind == "instances":
        labels = prediction.objects
        objects = ((lambda box: labels[box.slices]), int(labels.max(initial=0)))
    mask = prediction.mask
    values = mask_map(encoding, Size(*mask.shape), lambda box: mask[box.slices], objects)
    return write_map(path, form, values, facts)


def _write_png(path: Path, values: Map) -> Path:
    require_writable("png", values.size)
    array = values.read(Box(0, 0, *values.size))
    return write_mask(path, np.moveaxis(array, 0, -1) if values.rgb else array[0], palette=values.palette)
