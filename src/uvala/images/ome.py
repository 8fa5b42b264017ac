"""What OME says of an image besides its pixels: the XML of an OME-TIFF, the attributes of an OME-Zarr.

Sources: OME model 2016-06; OME-NGFF 0.4 (multiscales, omero, image-label).
"""

import re
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Size
from uvala.images.boxes import PixelFacts
from uvala.images.display import class_colours
from uvala.images.stage import Layer

__all__ = ["MICROMETRES", "ome_xml", "ome_zarr_attributes", "placing"]

MICROMETRES = {"nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
"""How many there are to a unit of length."""

_XML_UNITS = {"um": "µm"}  # the others are called as here
_NGFF_UNITS = {"nm": "nanometer", "um": "micrometer", "mm": "millimeter", "cm": "centimeter", "m": "meter"}
_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_FLOATS = {"float32": "float", "float64": "double"}  # whole numbers are called as in NumPy
_RGB = ("red", "green", "blue")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Scale, tie points, matrix, and the keys of the reference system. GDAL's own tags, which say what value means
# "no data" and how values are scaled, are about the image and not about what was made of it.
_PLACING = {33550, 33922, 34264, 34735, 34736, 34737}


def placing(facts: PixelFacts) -> list[tuple[int, int, int, Any]]:
    """The GeoTIFF tags that say where the pixels lie."""
    return [tag for tag in facts.geo if tag[0] in _PLACING]


def ome_xml(
    name: str, size: Size, layer: Layer, facts: PixelFacts, names: Sequence[str], *, rgb: bool = False
) -> str:
    """The description of an OME-TIFF whose pages are the channels, or whose only page is a colour picture.

    ASCII, as the tag must be. Nothing in it depends on the time or the machine.
    """
    channels = 1 if rgb else layer.channels
    samples = layer.channels // channels
    labels = [f" Name={quoteattr(label)}" for label in names] if names and not rgb else [""] * channels
    pixels = {
        "ID": "Pixels:0",
        "DimensionOrder": "XYCZT",
        "Type": _FLOATS.get(layer.dtype.name, layer.dtype.name),
        "SizeX": size.width,
        "SizeY": size.height,
        "SizeC": layer.channels,
        "SizeZ": 1,
        "SizeT": 1,
        "BigEndian": "false",
        "Interleaved": "true" if rgb else "false",
        **_physical(facts),
    }
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<OME xmlns="{_NAMESPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="{_NAMESPACE} {_NAMESPACE}/ome.xsd" Creator="uvala">',
        f'<Image ID="Image:0" Name={quoteattr(_readable(name))}>',
        f"<Pixels {' '.join(f'{key}={quoteattr(str(value))}' for key, value in pixels.items())}>",
        *(
            f'<Channel ID="Channel:0:{index}" SamplesPerPixel="{samples}"{label}/>'
            for index, label in enumerate(labels)
        ),
        f'<TiffData IFD="0" PlaneCount="{channels}"/>',
        "</Pixels></Image></OME>",
    ]
    return "\n".join(lines).encode("ascii", "xmlcharrefreplace").decode()


def ome_zarr_attributes(
    name: str,
    sizes: Sequence[Size],
    layer: Layer,
    facts: PixelFacts,
    names: Sequence[str],
    *,
    nearest: bool,
    colours: NDArray[np.uint8] | None = None,
    rgb: bool = False,
) -> dict[str, Any]:
    """The attributes of an OME-Zarr group whose arrays "0", "1", ... have these sizes.

    A single channel has no axis of its own. nearest: whether a pixel of a level is one of the level before,
    the upper left of four, rather than their mean.
    """
    single = layer.channels == 1
    unit = {"unit": _NGFF_UNITS[facts.unit]} if facts.spacing and facts.unit in _NGFF_UNITS else {}
    space: list[dict[str, str]] = [{"name": axis, "type": "space", **unit} for axis in "yx"]
    attributes: dict[str, Any] = {
        "multiscales": [
            {
                "version": "0.4",
                "name": _readable(name),
                "axes": space if single else [{"name": "c", "type": "channel"}, *space],
                "datasets": [
                    {"path": str(level), "coordinateTransformations": _placed(level, facts, single, nearest)}
                    for level in range(len(sizes))
                ],
                "type": "nearest" if nearest else "mean",
            }
        ]
    }
    if single and nearest and layer.dtype.kind in "ui":
        attributes["image-label"] = {"version": "0.4", **_label_colours(colours)}
    labels = _RGB if rgb else names
    if labels and not single:
        attributes["omero"] = {"channels": _channels(labels, layer.dtype, rgb)}
    if tags := placing(facts):
        attributes["geotiff_tags"] = [[*tag[:3], _plain(tag[3])] for tag in tags]
    return attributes


def _readable(name: str) -> str:
    """A file's name without what XML cannot say: control characters, and bytes that are no UTF-8."""
    return _NO_XML.sub("\ufffd", name)


def _physical(facts: PixelFacts) -> dict[str, Any]:
    """The attributes that say how large a pixel is."""
    if facts.spacing is None or facts.unit not in MICROMETRES:
        return {}
    unit = _XML_UNITS.get(facts.unit, facts.unit)
    height, width = (float(side) for side in facts.spacing)
    return {
        "PhysicalSizeX": width,
        "PhysicalSizeXUnit": unit,
        "PhysicalSizeY": height,
        "PhysicalSizeYUnit": unit,
    }


def _placed(level: int, facts: PixelFacts, single: bool, nearest: bool) -> list[dict[str, Any]]:
    """Where the pixels of a level lie: how large they are and, of means, where the first one's centre is."""
    spacing = [float(side) for side in facts.spacing or (1.0, 1.0)]
    before = [] if single else [1.0]
    placed: list[dict[str, Any]] = [
        {"type": "scale", "scale": before + [side * 2**level for side in spacing]}
    ]
    if level and not nearest:
        shift = (2**level - 1) / 2
        still = [] if single else [0.0]
        placed.append({"type": "translation", "translation": still + [side * shift for side in spacing]})
    return placed


def _label_colours(colours: NDArray[np.uint8] | None) -> dict[str, Any]:
    """The colours of the numbers in a label image; 0, the background, is clear."""
    if colours is None:
        return {}
    return {
        "colors": [
            {"label-value": value, "rgba": [*rgb, 255 * (value > 0)]}
            for value, rgb in enumerate(colours.tolist())
        ]
    }


def _channels(names: Sequence[str], dtype: np.dtype[Any], rgb: bool) -> list[dict[str, Any]]:
    colours = np.eye(3, dtype=np.uint8) * 255 if rgb else class_colours(len(names))
    most = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    return [
        {
            "label": name,
            "color": bytes(colour).hex().upper(),
            "active": True,
            "window": {"min": 0.0, "max": most, "start": 0.0, "end": most},
        }
        for name, colour in zip(names, colours, strict=True)
    ]


def _plain(value: Any) -> Any:
    """What JSON can say of the value of a tag."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str | int | float) else [_plain(each) for each in value]
