"""Images that are read box by box, however large they are.

What is small is decoded at once, as `read_image` does it. The rest stays in its file: strips and tiles of a
TIFF, chunks of a Zarr array, the map of an NPY file, the finest level of a whole slide. Either way the pixels
are those of `read_image`: the same functions say what samples mean, of a box as of the whole.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from uvala.arrays import Box, ImageArray, Size
from uvala.images.boxes import LazyImage, PixelFacts, StoredImage, in_memory
from uvala.images.kinds import kind_of_file, named_errors, require_no_page
from uvala.images.orientation import stored_box, swaps_sides
from uvala.images.pixels import Pixels
from uvala.images.raster import open_npy
from uvala.images.read import Image, Source, image_of, is_image, read_image
from uvala.images.slides import open_slide
from uvala.images.tiff_boxes import open_tiff
from uvala.images.zarr_image import open_zarr

__all__ = [
    "DECODED_AT_ONCE",
    "LazyImage",
    "PixelFacts",
    "find_images",
    "in_memory",
    "is_image",
    "open_image",
]

DECODED_AT_ONCE = 2**28
"""Bytes of pixels up to which an image is decoded as a whole: a quarter of a GB, 16,000x16,000 grey ones."""


@contextmanager
def open_image(
    source: Source | Path, *, at_once: int = DECODED_AT_ONCE, memory: int | None = None
) -> Iterator[LazyImage]:
    """The image of a file, or of one page of it, whose boxes are read as long as the block lasts.

    Files as of `read_image`. at_once: bytes up to which an image is decoded as a whole; of formats that know
    no parts (PNG, JPEG and the like) all are. memory: bytes that predicting the image may take in all, of
    which some keep parts of it that were decoded; None: the usual ones.

    ImageError, with the name of the file, as of `read_image`, here or when a box of it is read.
    """
    source = source if isinstance(source, Source) else Source(Path(source))
    with ExitStack() as stack:
        with named_errors(source.path):
            image = _open(source, at_once, memory, stack)
        yield image


def find_images(folder: Path, *, without: str = "") -> Iterator[Path]:
    """Images in a folder and in those below it, in order of their names; a Zarr folder is one image.

    What is hidden, linked to or closed to this user is not searched, nor is a folder below that holds a file
    called `without`.
    """
    try:
        paths = sorted(folder.iterdir())
    except PermissionError:
        return
    for path in paths:
        if is_image(path):
            yield path
        elif not path.is_dir() or path.is_symlink() or path.name.startswith("."):
            continue
        elif not (without and (path / without).exists()):
            yield from find_images(path, without=without)


def _open(source: Source, at_once: int, memory: int | None, stack: ExitStack) -> LazyImage:
    path, page = source.path, source.page
    stored = stack.enter_context(_stored(path, page, memory))
    if stored is None or stored.read is None or stored.nbytes <= at_once:
        image = read_image(source)
        facts = stored.facts.fitting(len(image.array), stored.orientation) if stored else None
        return in_memory(image.array, facts, image.notes)
    return _lazy(source, stored, stored.read)


def _stored(
    path: Path, page: int | None, memory: int | None = None
) -> AbstractContextManager[StoredImage | None]:
    """The parts of an image, or None where its format knows none."""
    kind = kind_of_file(path)
    if kind == "tiff":
        return open_tiff(path, page, memory)
    require_no_page(path, page)
    if kind == "slide":
        return open_slide(path, memory)
    if kind == "zarr":
        return nullcontext(open_zarr(path, memory))
    return nullcontext(open_npy(path) if kind == "npy" else None)


def _lazy(source: Source, stored: StoredImage, pixels: Callable[[Box], Pixels]) -> LazyImage:
    height, width = stored.size
    size = Size(width, height) if swaps_sides(stored.orientation) else stored.size
    first = _first_pixel(source)  # says channels and dtype, which palette or alpha may change

    def read(box: Box) -> ImageArray:
        with named_errors(source.path):
            return image_of(pixels(stored_box(box, size, stored.orientation))).array

    return LazyImage(
        channels=len(first.array),
        size=size,
        dtype=first.array.dtype,
        read=read,
        facts=stored.facts.fitting(len(first.array), stored.orientation),
        notes=first.notes + stored.notes,
        let_go=stored.let_go,
    )


def _first_pixel(source: Source) -> Image:
    """The pixel in the upper left of an image whose boxes are read.

    The file is opened apart for it: its chunk is decoded as a whole, and would be kept until the image is
    read, for which others may have to be predicted first.
    """
    with _stored(source.path, source.page) as stored:
        assert stored is not None
        assert stored.read is not None
        return image_of(stored.read(Box(0, 0, 1, 1)))
