"""Which files are images and which are masks, by the names of their folders or by their own."""

from uvala.data.layouts.pairing import Item
from uvala.data.layouts.tree import File, Tree
from uvala.data.layouts.words import folder_name, is_mask_stem

__all__ = ["by_folders", "by_stems", "is_split_folder", "split_of_folders", "told_name"]


def _telling(folders: tuple[str, ...]) -> int | None:
    """Which of some nested folders says image or mask: the deepest that says it in a known word."""
    names = [folder_name(folder) for folder in folders]
    for wanted in (True, False):
        for depth in reversed(range(len(names))):
            if names[depth].side is not None and names[depth].sure is wanted:
                return depth
    return None


def split_of_folders(folders: tuple[str, ...]) -> str | None:
    """The split that the deepest folder with a split in its name belongs to."""
    splits = [folder_name(folder).split for folder in folders if _speaks(folder)]
    return next((split for split in reversed(splits) if split is not None), None)


def _speaks(folder: str) -> bool:
    return folder_name(folder).sure or folder_name(folder).side is not None


def by_folders(tree: Tree) -> tuple[list[Item], dict[str, list[Item]]]:
    """The files in image folders, and those in mask folders by family ("masks", "labels").

    Where no folder says image but some say mask, all other files are the images.
    """
    images: list[Item] = []
    others: list[Item] = []
    masks: dict[str, list[Item]] = {}
    for folder, files in tree.image_folders.items():
        depth = _telling(folder)
        place = tuple(part for at, part in enumerate(folder) if at != depth and not folder_name(part).sure)
        items = [Item(file, place, split_of_folders(folder)) for file in files]
        name = folder_name(folder[depth]) if depth is not None else None
        if name is None:
            others += items
        elif name.side == "image":
            images += items
        else:
            masks.setdefault(name.family, []).extend(items)
    return (images or others if masks else images), masks


def by_stems(tree: Tree) -> tuple[list[Item], list[Item]]:
    """All files by their own names: "a_mask" and "gt_01" are masks, all others images."""
    images: list[Item] = []
    masks: list[Item] = []
    for folder, files in tree.image_folders.items():
        place = tuple(part for part in folder if not is_split_folder(part))
        for file in files:
            item = Item(file, place, split_of_folders(folder))
            (masks if is_mask_stem(file.stem) else images).append(item)
    return images, masks


def is_split_folder(folder: str) -> bool:
    """Whether a folder's name says train, val or test and nothing else."""
    name = folder_name(folder)
    return name.sure and name.side is None


def told_name(file: File) -> str:
    """An image's path without the folders that only say image: "train/images/a.png" -> "train/a.png"."""
    depth = _telling(file.folder)
    parts = []
    for at, part in enumerate(file.folder):
        name = folder_name(part)
        if at != depth and not (name.sure and name.side):
            parts.append(part)
        elif name.split:
            parts.append(name.split)
    return "/".join((*parts, file.name))
