"""A file that was cut off anywhere is an ImageError that names it, whatever its format."""

import contextlib
import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from uvala.arrays import Box
from uvala.errors import ImageError
from uvala.images.lazy import open_image
from uvala.images.read import count_pages, image_size, read_image, read_mask

FILES = {
    "png": ("PNG", {}),
    "jpeg": ("JPEG", {}),
    "progressive jpeg": ("JPEG", {"progressive": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "tiff of pillow": ("TIFF", {}),
    "tiff": (None, {}),
    "big tiff": (None, {"bigtiff": True}),
    "big-endian tiff": (None, {"byteorder": ">"}),
    "deflate tiff": (None, {"compression": "deflate"}),
    "lzw tiff": (None, {"compression": "lzw"}),
    "jpeg tiff": (None, {"compression": "jpeg"}),
    "tiled zstd tiff": (None, {"compression": "zstd", "tile": (16, 16)}),
}


def content_of(kind: str) -> bytes:
    rgb = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    writer, options = FILES[kind]
    stream = io.BytesIO()
    if writer is None:
        tifffile.imwrite(stream, rgb, photometric="rgb", **options)
    else:
        PIL.Image.fromarray(rgb).save(stream, writer, **options)
    return stream.getvalue()


def all_boxes(path: Path) -> None:
    with open_image(path, at_once=0) as image:
        for top in range(image.size.height):
            image.read(Box(top, 0, top + 1, image.size.width))


def is_refused(path: Path, read=read_image) -> bool:
    try:
        read(path)
    except ImageError as error:
        return str(path) in str(error)
    return False


@pytest.mark.parametrize("kind", FILES)
def test_no_cut_passes(tmp_path, kind):
    content, path = content_of(kind), tmp_path / "cut"
    path.write_bytes(content)
    read_image(path)
    passed = []
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if not is_refused(path):
            passed.append(length)
    assert passed == []


@pytest.mark.parametrize("kind", [kind for kind in FILES if "tiff" in kind])
def test_no_cut_passes_box_by_box(tmp_path, kind):
    content, path = content_of(kind), tmp_path / "cut"
    path.write_bytes(content)
    all_boxes(path)
    passed = []
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        if not is_refused(path, all_boxes):
            passed.append(length)
    assert passed == []


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("read", [image_size, read_mask, count_pages], ids=lambda read: read.__name__)
def test_other_readers_answer_or_refuse(tmp_path, kind, read):
    content, path = content_of(kind), tmp_path / "cut"
    for length in range(0, len(content), 11):
        path.write_bytes(content[:length])
        with contextlib.suppress(ImageError):
            read(path)


def test_a_stack_that_lost_its_last_page_is_refused(tmp_path):
    path = tmp_path / "stack.tif"
    frames = [PIL.Image.fromarray(np.full((9, 14), value, np.uint8)) for value in range(5)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    path.write_bytes(path.read_bytes()[:-250])
    with pytest.raises(ImageError, match=r"stack\.tif"):
        count_pages(path)
