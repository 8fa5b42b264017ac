"""What a user is told where no images and masks can be recognised: what is there, and what to do."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from uvala.data.layouts.csv_manifest import HEADER
from uvala.data.layouts.folders import pair_folders, pair_stems
from uvala.data.layouts.recognition import Unpaired
from uvala.data.layouts.sides import by_folders, by_stems
from uvala.data.layouts.tree import Tree
from uvala.data.layouts.words import MASK_FOLDERS
from uvala.data.wording import count
from uvala.errors import LayoutError
from uvala.images.read import IMAGE_SUFFIXES

__all__ = ["no_such_path", "not_a_folder", "nothing_recognised", "with_tables"]


def not_a_folder(path: Path) -> LayoutError:
    """The error for a single file that is no manifest."""
    what = "one image" if path.suffix.lower() in IMAGE_SUFFIXES else "a file"
    return LayoutError(
        found=f"{path}, which is {what}",
        expected=f"a folder with images and masks, or a CSV with the columns {HEADER}",
        fix=f"give the folder that holds both, perhaps {path.absolute().parent.parent}",
    )


def no_such_path(path: Path) -> LayoutError:
    """The error for a path that does not exist, with the nearest one that does."""
    above, below = path.absolute().parent, path.name
    while not above.exists():
        above, below = above.parent, above.name
    names = [entry.name for entry in above.iterdir()] if above.is_dir() else []
    near = get_close_matches(below, names, n=1, cutoff=0.5)
    there = f"; {above} exists" if above.is_dir() else f"; {above} is a file"
    return LayoutError(
        found=f"no {path}{there}",
        expected="a folder with images and masks",
        fix=f"did you mean {above / near[0]}?" if near else "check the path",
    )


def nothing_recognised(tree: Tree) -> LayoutError:
    """The error for a folder in which no layout found a pair: what is there instead, and how to mend it."""
    if not tree.images:
        return _no_images(tree)
    images, families = by_folders(tree)
    masks = [mask for family in families.values() for mask in family]
    if not masks:
        images, masks = by_stems(tree)
    if not masks:
        return _images_only(tree)
    if not images:
        return LayoutError(
            found=f"{count(len(masks), 'mask')} and no image in {tree.root}",
            expected="the images that the masks belong to",
            fix=f"put them into {tree.root / 'images'} under the names of the masks",
        )
    doubtful = _rivals(tree)
    if doubtful is not None:
        return doubtful
    examples = [", ".join(sorted(item.file.where for item in side)[:3]) for side in (images, masks)]
    return LayoutError(
        found=f"{count(len(images), 'image')} ({examples[0]}) and {count(len(masks), 'mask')} "
        f"({examples[1]}) in {tree.root}, of which no two belong together by name",
        expected="a mask of the same name for each image, also with an ending such as _mask",
        fix=f"rename the masks after their images, or list the pairs in a CSV with the columns {HEADER}",
    )


def with_tables(error: LayoutError, tables: Sequence[Unpaired]) -> LayoutError:
    """`error`, with what is said about the CSV files that could have been meant as manifests."""
    if not tables:
        return error
    first = tables[0]
    return LayoutError(
        found=f"{error.found}; and {first.path.name}: {first.reason}",
        expected=f"a CSV with the columns {HEADER}, or {error.expected}",
        fix=f"write {HEADER} as the first line of {first.path.name} and a pair into each other line, or "
        f"{error.fix}",
    )


def _rivals(tree: Tree) -> LayoutError | None:
    """The error for images that several masks fit equally well."""
    for pairing in (pair_folders(tree), pair_stems(tree)):
        if pairing.ambiguous:
            images, masks = pairing.ambiguous[0]
            files = ", ".join(item.file.where for item in (*images, *masks)[:4])
            return LayoutError(
                found=f"{count(len(pairing.ambiguous), 'image')} in {tree.root} that several files fit "
                f"equally well (such as {files})",
                expected="one image and one mask of a name",
                fix="move the files that are no masks out of the folder, or list the pairs in a CSV with the "
                f"columns {HEADER}",
            )
    return None


def _no_images(tree: Tree) -> LayoutError:
    endings = sorted({file.suffix for file in tree.files if file.suffix})
    holds = f"{count(len(tree.files), 'file')} ({', '.join(endings[:5])}) and no image"
    return LayoutError(
        found=f"{tree.root}, which {f'holds {holds}' if tree.files else 'is empty'}",
        expected=f"images and masks ({', '.join(sorted(IMAGE_SUFFIXES))})",
        fix="give the folder that holds them, or convert them to PNG or TIFF",
    )


def _images_only(tree: Tree) -> LayoutError:
    beside = _mask_folder_beside(tree.root.absolute())
    fix = f"put the masks into {tree.root / 'masks'} under the names of their images"
    return LayoutError(
        found=f"{count(len(tree.images), 'image')} in {tree.root} ({tree.images[0].where}) and no mask",
        expected=f"masks in a folder such as {', '.join(MASK_FOLDERS[:3])}, annotations or gt, or beside the "
        "images as NAME_mask",
        fix=f"give {beside.parent}, which has {beside.name} beside it" if beside else fix,
    )


def _mask_folder_beside(root: Path) -> Path | None:
    """A mask folder next to `root`: the user gave the image folder and not the one above."""
    try:
        folders = [entry for entry in sorted(root.parent.iterdir()) if entry.is_dir() and entry != root]
    except OSError:
        return None
    return next((folder for folder in folders if folder.name.lower() in MASK_FOLDERS), None)
