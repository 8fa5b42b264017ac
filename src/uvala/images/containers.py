"""What image files say before a pixel is decoded: kind, size, which way up, and whether the file is whole.

Pillow reads on where a file ends early, and stops at, or warns of, metadata that nobody needs (a long text
chunk, a broken EXIF block). So each container is walked here first, refused if something is missing, and
stripped to the parts that hold pixels.

Sources: PNG 3rd edition; ISO/IEC 10918-1 annex B (JPEG); RFC 9649 (WebP); GIF89a; Windows BMP headers.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from uvala.arrays import Size
from uvala.images.orientation import UPRIGHT, exif_orientation

__all__ = [
    "Container",
    "foreign_kind",
    "kind_of",
    "open_bmp",
    "open_gif",
    "open_jpeg",
    "open_png",
    "open_webp",
]

_KINDS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x93NUMPY", "npy"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),  # BigTIFF
    (b"MM\0+", "tiff"),
    (b"BM", "bmp"),
)

# What people have under an image's name, and what it is. Read by nobody here, but worth a better sentence.
_FOREIGN = (
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive (NIfTI volumes are often stored so)"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"version https://git-lfs", "a Git LFS pointer: the image itself was not fetched"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<!DOCTYPE", "an HTML page"),
    (0, b"<html", "an HTML page"),
    (4, b"ftypheic", "an HEIC photo"),
    (4, b"ftypheix", "an HEIC photo"),
    (4, b"ftypmif1", "an HEIF photo"),
    (4, b"ftypavif", "an AVIF image"),
    (128, b"DICM", "a DICOM file"),
)

_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}

HEAD = 132
"""How many of a file's first bytes `kind_of` and `foreign_kind` look at."""


@dataclass(frozen=True, eq=False)
class Container:
    """A file that is whole: the size of its pixels as stored, and its parts that hold pixels."""

    size: Size
    pixels: bytes
    orientation: int = UPRIGHT
    lossy: bool = False
    animated: bool = False
    deep_colour: bool = False  # more than one channel at 16 bits, which Pillow would cut to 8


def kind_of(head: bytes) -> str | None:
    """'png', 'jpeg', 'gif', 'bmp', 'webp', 'npy' or 'tiff' from a file's first bytes, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((kind for magic, kind in _KINDS if head.startswith(magic)), None)


def foreign_kind(head: bytes) -> str | None:
    """What a file is that is no image of ours, in words, as far as its first bytes tell."""
    return next((words for at, magic, words in _FOREIGN if head[at : at + len(magic)] == magic), None)


def open_png(data: bytes) -> Container:
    """A PNG, each chunk whole and its checksum right; ValueError otherwise."""
    parts, header, orientation, animated = [data[:8]], None, UPRIGHT, False
    for kind, start, end in _png_chunks(data):
        if kind in _PNG_PIXELS:
            parts.append(data[start - 8 : end + 4])
        if kind == b"IHDR":
            header = struct.unpack_from(">IIBB", data, start)
        elif kind == b"eXIf":
            orientation = exif_orientation(data[start:end])
        elif kind == b"acTL":
            animated = struct.unpack_from(">I", data, start)[0] > 1
    if header is None:
        raise ValueError("no PNG header")
    width, height, depth, colour_type = header
    deep = depth == 16 and colour_type != 0
    return Container(Size(height, width), b"".join(parts), orientation, animated=animated, deep_colour=deep)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first byte and last byte + 1 of each chunk's content, up to and with IEND."""
    view, start = memoryview(data), 8
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        kind, start = data[start + 4 : start + 8], start + 8
        end = start + length
        if end + 4 > len(data):
            break
        if zlib.crc32(view[start - 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ValueError(f"the checksum of its {kind.decode('latin-1')} chunk is wrong")
        yield kind, start, end
        if kind == b"IEND":
            return
        start = end + 4
    raise ValueError("the file ends too early")


def open_jpeg(data: bytes) -> Container:
    """A JPEG up to its end-of-image marker, without its metadata; ValueError if it ends before."""
    parts, exif, size, start = [data[:2]], b"", None, 2
    while True:
        start = data.find(b"\xff", start)  # padding between segments is allowed
        if start < 0 or start + 4 > len(data):
            raise ValueError("the file ends too early")
        marker = data[start + 1]
        if marker in {0x00, 0x01, 0xFF} or 0xD0 <= marker <= 0xD8:  # no segment: padding, or a bare marker
            start += 1
            continue
        if marker == 0xD9:
            raise ValueError("it holds no picture")
        end = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        if marker == 0xDA:  # start of scan: pixels from here on
            break
        if marker == 0xE1 and data[start + 4 : start + 8] == b"Exif":
            exif = exif or data[start + 4 : end]
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:  # start of frame
            size = Size(*struct.unpack_from(">HH", data, start + 5))
        # of the application segments only JFIF (E0) and Adobe (EE) matter to pixels; FE is a comment
        if not (0xE1 <= marker <= 0xED or marker in {0xEF, 0xFE}):
            parts.append(data[start:end])
        start = end
    # inside a scan 0xFF is always followed by zero or a restart marker, so this one is the real end
    if size is None or data.find(b"\xff\xd9", start) < 0:
        raise ValueError("the file ends too early")
    return Container(size, b"".join([*parts, data[start:]]), exif_orientation(exif), lossy=True)


def open_webp(data: bytes) -> Container:
    """A WebP, as long as its header says; ValueError otherwise."""
    length = struct.unpack_from("<I", data, 4)[0] + 8
    if len(data) < length:
        raise ValueError("the file ends too early")
    size, orientation, lossy, animated = None, UPRIGHT, False, False
    for kind, content in _riff_chunks(data, 12, length):
        if kind == b"VP8X":
            width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (4, 7))
            size = Size(height, width)
        elif kind == b"EXIF":
            orientation = exif_orientation(content)
        elif kind == b"ANMF":  # a frame of an animation: 16 bytes about the frame, then its chunks
            animated = True
            lossy = lossy or any(inner == b"VP8 " for inner, _ in _riff_chunks(content, 16, len(content)))
        elif kind == b"VP8 ":
            lossy = True
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 6))
            size = size or Size(height, width)
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", content, 1)
            size = size or Size((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
    if size is None:
        raise ValueError("it holds no picture")
    return Container(size, data, orientation, lossy, animated)


def _riff_chunks(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while start + 8 <= end:
        (length,) = struct.unpack_from("<I", data, start + 4)
        yield data[start : start + 4], data[start + 8 : start + 8 + length]
        start += 8 + length + length % 2


def open_gif(data: bytes) -> Container:
    """A GIF with its trailer; ValueError without."""
    width, height = struct.unpack_from("<HH", data, 6)
    if not data.rstrip(b"\0").endswith(b";"):
        raise ValueError("the file ends too early")
    return Container(Size(height, width), data)


def open_bmp(data: bytes) -> Container:
    """A BMP with all its rows; ValueError if some are missing."""
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:  # OS/2
        width, height, _planes, depth = struct.unpack_from("<HHHH", data, 18)
        packed = False
    else:
        width, height, _planes, depth, compression = struct.unpack_from("<iiHHI", data, 18)
        packed = compression in {1, 2}  # run lengths: no fixed size
    stride = (abs(width) * depth + 31) // 32 * 4
    if not packed and len(data) < offset + stride * abs(height):
        raise ValueError("the file ends too early")
    return Container(Size(abs(height), abs(width)), data)  # a negative height: rows run downwards
