"""Files of another folder that belong to the images of a data set: fields of view, masks of another tool."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import Size
from uvala.data.dataset import Dataset
from uvala.data.layouts.pairing import Item, pair
from uvala.data.layouts.tree import File
from uvala.data.layouts.words import folder_name
from uvala.data.sample import Sample
from uvala.data.wording import count, name_some
from uvala.errors import DataError, MaskError
from uvala.images.read import IMAGE_SUFFIXES, Source, image_size, read_mask
from uvala.prediction.folder import find_inputs

__all__ = ["holds_masks", "paired_files", "read_region"]


def holds_masks(folder: Path) -> bool:
    """Whether a folder holds image files, and neither a run nor a data set with images beside masks."""
    if not folder.is_dir() or any(folder.glob("card.json")) or any(folder.glob("*/card.json")):
        return False
    inside = [each for each in folder.iterdir() if each.is_dir()]
    if any(folder_name(each.name).side is not None for each in inside):
        return False
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.rglob("*"))


def paired_files(
    folder: Path, dataset: Dataset, samples: Sequence[Sample], *, what: str
) -> dict[str, Source]:
    """The file of each sample in `folder`, by the sample's name; what: "fields of view", for messages.

    Files belong to the images of the same name, in sub-folders or not, whatever their endings; words such
    as "mask" at either end of a name do not count, and pages of a stack are told apart by their number.
    DataError that lists the images without a file and the files of another size than their image.
    """
    if not folder.is_dir():
        raise DataError(found=f"no folder {folder}", expected=f"a folder of {what}", fix="check the path")
    sources = {_file(str(target)): source for source, target in find_inputs([folder])}
    names = {_file(_bare(sample)): sample.name for sample in samples}
    pairs = pair([_item(file) for file in names], [_item(file) for file in sources]).pairs
    found = {names[image.file]: sources[mask.file] for image, mask in pairs}
    missing = [sample.name for sample in samples if sample.name not in found]
    odd = [f"{name} ({size} for {dataset.sizes[name]})" for name, size in _odd(found, dataset)]
    if missing or odd:
        words = [f"no file for {count(len(missing), 'image')}: {name_some(missing)}"] * bool(missing)
        words += [f"another size than the image: {name_some(odd)}"] * bool(odd)
        raise DataError(
            found=f"{what} in {folder} with {'; '.join(words)}",
            expected="a file for each image, of its name and of its size",
            fix="add or resize these, or score fewer images with --split FILE",
        )
    return found


def read_region(source: Source, size: Size) -> NDArray[np.bool_]:
    """Where a field of view is: bool [H, W], True where the file is not 0. MaskError if that is nowhere."""
    values = read_mask(source).values
    inside = values.max(axis=-1) > 0 if values.ndim == 3 else values != 0
    if not inside.any():
        raise MaskError(
            found=f"{source}, which is 0 everywhere",
            expected="a field of view: other than 0 where pixels count",
            fix="turn it round, or leave --region out",
        )
    return inside


def _odd(found: dict[str, Source], dataset: Dataset) -> Iterator[tuple[str, Size]]:
    for name, source in found.items():
        size = image_size(source)
        if size != dataset.sizes[name]:
            yield name, size


def _bare(sample: Sample) -> str:
    """A sample's name without its ending, and with its page as `uvala predict` writes it."""
    path, sign, page = sample.name.partition("#")
    bare = PurePosixPath(path).with_suffix("")
    return f"{bare}_{int(page):03d}" if sign and page.isdigit() else str(bare)


def _file(path: str) -> File:
    """A path without ending as a `File`; it gets one, for a dot in its name would be taken for one."""
    *folders, name = PurePosixPath(Path(path).as_posix()).parts
    return File(tuple(folders), f"{name}.mask")


def _item(file: File) -> Item:
    return Item(file, file.folder)
