"""What reads a path, which the first bytes of a file say, and the one way in which reading fails.

Whole slides alone are told by their ending: by content they are TIFFs like others. Zarr arrays are folders.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uvala.errors import ImageError, UvalaError
from uvala.images.containers import HEAD, foreign_kind, kind_of
from uvala.images.pixels import damaged
from uvala.images.slides import is_slide
from uvala.images.zarr_image import is_zarr

__all__ = ["kind_of_file", "named_errors", "require_no_page"]

_FORMATS = "a PNG, JPEG, TIFF, BMP, GIF, WebP or NPY file"

_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # two letters at least: C: is a disk


def require_no_page(path: Path, page: int | None) -> None:
    """ImageError if a page other than the first is asked of what is no TIFF."""
    if page:
        raise ImageError(
            found=f"page {page} asked of {path}", expected="a multi-page TIFF", fix="leave the page away"
        )


def kind_of_file(path: Path) -> str:
    """What reads a path: 'tiff', 'npy', 'png' and the like, 'zarr' or 'slide'. ImageError if nothing does."""
    if path.is_dir():
        return _kind_of_folder(path)
    if path.is_file() and is_slide(path):
        return "slide"
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if not head:
        raise ImageError(
            found=f"{path}, which is empty (0 bytes)", expected=_FORMATS, fix="copy or export it again"
        )
    kind = kind_of(head)
    if kind is None:
        raise ImageError(
            found=f"{path}, which is {foreign_kind(head) or 'not an image'}",
            expected=_FORMATS,
            fix="export it as PNG or TIFF, or take it out of the data",
        )
    return kind


def _kind_of_folder(path: Path) -> str:
    if is_zarr(path):
        return "zarr"
    raise ImageError(
        found=f"{path}, which cannot be opened as an image (it is a folder)",
        expected="an image file, or the folder of a Zarr array or OME-Zarr image",
        fix="name a file within it, or the folder that holds zarr.json, .zarray or .zgroup",
    )


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong inside into an ImageError that names the file."""
    try:
        yield
    except UvalaError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        if _REMOTE.match(str(path)):
            raise ImageError(
                found=f"{path}, the address of something remote",
                expected="a file or folder on this machine",
                fix="download it first",
            ) from error
        if path.is_symlink() and not path.exists():
            raise ImageError(
                found=f"{path}, a link to {path.readlink()}, which is not there",
                expected="a link to a file",
                fix="fetch what it leads to (as `git annex get` and `dvc pull` do), or remove it",
            ) from error
        reason = (error.strerror or "unreadable").lower()
        raise ImageError(
            found=f"{path}, which cannot be opened ({reason})",
            expected="a readable file",
            fix="check the path",
        ) from error
    except MemoryError as error:
        raise ImageError(
            found=f"{path}, for which the memory does not suffice",
            expected="an image that fits into memory",
            fix="cut it into smaller images or use a machine with more memory",
        ) from error
    except Exception as error:  # on damaged bytes the decoders raise anything, from IndexError to zlib.error
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise damaged(path, words) from error
