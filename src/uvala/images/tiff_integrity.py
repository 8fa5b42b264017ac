"""Whether a TIFF is whole: tifffile reads on where a file ends early."""

import math
import os
import struct
from typing import IO, Any

import numpy as np

__all__ = ["require_whole_directories", "require_whole_segments"]

_VALUE_BYTES = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)  # by TIFF type number


def require_whole_segments(page: Any, size: int) -> None:
    """ValueError if a strip or tile of a page lies beyond the end; tifffile would fill it with zeros."""
    ends = np.add(page.dataoffsets, page.databytecounts, dtype=np.int64)
    if len(ends) == 0 or ends.max() > size:
        raise ValueError("the file ends before its pixels do")
    # a wrong size in the header would cost gigabytes before anything else finds it out
    if len(ends) < math.prod(page.chunked):
        raise ValueError(
            f"{len(ends)} strips or tiles do not make {page.imagewidth}x{page.imagelength} pixels"
        )


def require_whole_directories(stream: IO[bytes]) -> None:
    """ValueError if a page's directory, or a value that it points to, lies beyond the end of the file.

    tifffile takes the pages up to there and logs the rest, so that half a stack would pass for a whole one.
    """
    size = os.fstat(stream.fileno()).st_size
    head = stream.read(16)
    order, big = "<" if head[:2] == b"II" else ">", head[2:4] in {b"+\0", b"\0+"}
    word, count_format, entry = ("Q", "Q", f"{order}HHQ8s") if big else ("I", "H", f"{order}HHI4s")
    inline, entry_bytes = (8, 20) if big else (4, 12)
    (start,) = struct.unpack_from(f"{order}{word}", head, 8 if big else 4)
    seen: set[int] = set()
    try:
        while start and start not in seen:
            seen.add(start)
            stream.seek(start)
            (entries,) = struct.unpack(f"{order}{count_format}", stream.read(struct.calcsize(count_format)))
            table = stream.read(entries * entry_bytes)
            (start,) = struct.unpack(f"{order}{word}", stream.read(inline))
            for _tag, kind, count, value in struct.iter_unpack(entry, table):
                length = count * (_VALUE_BYTES[kind] if kind < len(_VALUE_BYTES) else 0)
                if length > inline and struct.unpack(f"{order}{word}", value)[0] + length > size:
                    raise ValueError("the file ends too early")
    except struct.error:
        raise ValueError("the file ends too early") from None
    finally:
        stream.seek(0)
    if not seen:
        raise ValueError("it holds no picture")
