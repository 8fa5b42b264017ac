"""What a TIFF says of its pixels: how large they are, what its channels are called, where on Earth it lies.

Sources: OME-XML 2016-06; ImageJ 1.54 (Calibration, TiffDecoder); TIFF 6.0; GeoTIFF 1.1 (OGC 19-008r4).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from uvala.images.boxes import PixelFacts, spacing_of

__all__ = ["facts_of"]

_GEO = (33550, 33922, 34264, 34735, 34736, 34737)
"""ModelPixelScale, ModelTiepoint, ModelTransformation, GeoKeyDirectory, GeoDoubleParams, GeoAsciiParams."""

_NODATA = 42113

_PROJECTED = {1024: 1, 3076: 9001}  # GTModelType and ProjLinearUnits: a map in metres

_RESOLUTION_UNITS = {2: "inch", 3: "cm", 4: "mm", 5: "um"}

_PRINTED = 20.0
"""Micrometres: a coarser pixel in the plain resolution tags is that of a printer or a screen (1200 to 72 dots
per inch), which most programs write without having been told anything of the object."""


def facts_of(series: tifffile.TiffPageSeries) -> PixelFacts:
    """What is known of the pixels of a series; of several sources the most specific one."""
    keyframe = series.keyframe
    sources = (_of_ome(series), _of_imagej(series), _of_map(keyframe), _of_resolution(keyframe))
    measured = next((facts for facts in sources if facts.spacing), PixelFacts())
    names = next((facts.channels for facts in sources if facts.channels), ())
    return replace(measured, channels=names, geo=_geo(keyframe))


def _of_ome(series: tifffile.TiffPageSeries) -> PixelFacts:
    text = series.parent.ome_metadata if series.parent is not None else None
    if not text:
        return PixelFacts()
    try:
        pixels = ElementTree.fromstring(text).find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:  # the pixels are whole, whatever is said of them
        return PixelFacts()
    if pixels is None:
        return PixelFacts()
    said = pixels.attrib
    # one unit for both sides: that of the height
    facts = spacing_of(
        said.get("PhysicalSizeY"), said.get("PhysicalSizeX"), said.get("PhysicalSizeYUnit", "um")
    )
    return replace(facts, channels=_named([each.get("Name") for each in pixels.findall("{*}Channel")]))


def _of_imagej(series: tifffile.TiffPageSeries) -> PixelFacts:
    said = (series.parent.imagej_metadata if series.parent is not None else None) or {}
    height, width = _pixel(series.keyframe)
    unit = str(said.get("unit", "")).replace("\\u00B5", "µ")
    return replace(spacing_of(height, width, unit), channels=_named(said.get("Labels") or ()))


def _of_map(keyframe: tifffile.TiffPage) -> PixelFacts:
    """The size of a pixel of a projected map in metres; nothing if it is anything else, or not said."""
    keys, scale = _numbers(keyframe, 34735), _numbers(keyframe, 33550)
    said = {keys[at]: keys[at + 3] for at in range(4, len(keys) - 3, 4) if keys[at + 1] == 0}
    if len(scale) < 2 or any(said.get(key) != value for key, value in _PROJECTED.items()):
        return PixelFacts()
    return spacing_of(scale[1], scale[0], "m")


def _of_resolution(keyframe: tifffile.TiffPage) -> PixelFacts:
    unit = _RESOLUTION_UNITS.get(keyframe.tags.valueof(296, 2))
    facts = spacing_of(*_pixel(keyframe), unit)
    return facts if facts.spacing and max(facts.spacing) <= _PRINTED else PixelFacts()


def _pixel(keyframe: tifffile.TiffPage) -> tuple[float, float]:
    """Height and width of a pixel by the resolution tags, in their unit; 0 where they say nothing of use."""
    height, width = (_ratio(keyframe.tags.valueof(code)) for code in (283, 282))
    return height, width


def _ratio(pixels_per_unit: Any) -> float:
    try:
        count, units = pixels_per_unit
        return units / count
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0


def _numbers(keyframe: tifffile.TiffPage, code: int) -> list[Any]:
    """The values of a tag; none without it."""
    return np.atleast_1d(keyframe.tags.valueof(code, ())).tolist()


def _named(names: Sequence[str | None]) -> tuple[str, ...]:
    """The names of channels; none if one has none."""
    return tuple(str(name) for name in names) if all(names) else ()


def _geo(keyframe: tifffile.TiffPage) -> tuple[tuple[int, int, int, Any], ...]:
    tags = [keyframe.tags.get(code) for code in (*_GEO, _NODATA)]
    found = [(tag.code, int(tag.dtype), int(tag.count), tag.value) for tag in tags if tag is not None]
    return tuple(found) if any(code in _GEO for code, *_ in found) else ()
