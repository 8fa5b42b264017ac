"""Images in one folder and masks in another, or both side by side: images/a.png and masks/a_mask.png.

Folders are known by their names, with train, val and test above or below them. Where no name says which are
the masks, two folders (or two endings) whose files have the same names are told apart by a look into them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from uvala.data.layouts.looking import look, second_is_masks
from uvala.data.layouts.pairing import Item, Pairing, pair, unpaired
from uvala.data.layouts.recognition import Recognition
from uvala.data.layouts.sides import by_folders, by_stems, is_split_folder, split_of_folders, told_name
from uvala.data.layouts.tree import File, Tree
from uvala.data.sample import Sample
from uvala.data.wording import count
from uvala.images.read import Source

__all__ = ["pair_folders", "pair_stems", "recognise_folders", "unique_names"]


def recognise_folders(tree: Tree) -> Recognition | None:
    """Pairs of images and masks in folders; None if there is not one."""
    found = _by_folders(tree)
    if found is not None and not found.unpaired:
        return found
    named = [one for one in (found, _by_stems(tree)) if one is not None]
    # by folder names if both find as many: max keeps the first
    return max(named, key=lambda one: len(one.samples)) if named else _by_looking(tree)


def pair_folders(tree: Tree) -> Pairing:
    """What the names of folders pair. An image that two families of mask folders fit is ambiguous."""
    images, families = by_folders(tree)
    if len(families) < 2:
        return pair(images, [mask for masks in families.values() for mask in masks])
    partners: dict[Item, list[Item]] = {}
    result = Pairing(images=images)
    for masks in families.values():
        pairing = pair(images, masks)
        for image, mask in pairing.pairs:
            partners.setdefault(image, []).append(mask)
        result.ambiguous += pairing.ambiguous
        result.masks += pairing.masks
    doubtful = {item for ours, _ in result.ambiguous for item in ours}
    for image, masks in sorted(partners.items()):
        if len(masks) == 1 and image not in doubtful:
            result.pairs.append((image, masks[0]))
        else:
            result.ambiguous.append(([image], masks))
    result.images = [image for image in images if image not in partners and image not in doubtful]
    return result


def pair_stems(tree: Tree) -> Pairing:
    """What the names of files pair, wherever they lie."""
    return pair(*by_stems(tree))


def _by_folders(tree: Tree) -> Recognition | None:
    pairing = pair_folders(tree)
    if not pairing.pairs:
        return None
    images, masks = (_tops(item.file for item in side) for side in zip(*pairing.pairs, strict=True))
    evidence = f"images in {images} and masks in {masks}, paired by name"
    told, families = by_folders(tree)
    if spare := len(tree.images) - len(told) - sum(map(len, families.values())):
        evidence += f"; {count(spare, 'image file')} outside these folders not used"
    return _recognition(tree, pairing, evidence)


def _by_stems(tree: Tree) -> Recognition | None:
    pairing = pair_stems(tree)
    if not pairing.pairs:
        return None
    image, mask = pairing.pairs[0]
    return _recognition(
        tree, pairing, f"masks known by their names, such as {mask.file.name} for {image.file.name}"
    )


def _by_looking(tree: Tree) -> Recognition | None:
    """Two sides that no name explains, decided by a look into a few pairs."""
    for names, first, second in _two_sides(tree):
        pairing = max(pair(first, second), _turned(pair(second, first)), key=lambda each: len(each.pairs))
        # two folders with a few names in common are not yet images and masks
        if len(pairing.pairs) * 2 < min(len(first), len(second)):
            continue
        seen, also_seen = (look([Source(tree.path(one[at].file)) for one in pairing.pairs]) for at in (0, 1))
        decided = second_is_masks(seen, also_seen) if seen and also_seen else None
        if seen is None or also_seen is None or decided is None:
            continue
        pairing = pair(first, second) if decided else pair(second, first)
        images, masks = names if decided else names[::-1]
        values = (also_seen if decided else seen).values
        evidence = (
            f"'{images}' and '{masks}' hold files of the same names; those of '{masks}' have {values:.0f} "
            "distinct values, so they were taken as the masks"
        )
        return _recognition(tree, pairing, evidence)
    return None


def _turned(pairing: Pairing) -> Pairing:
    return Pairing([(second, first) for first, second in pairing.pairs])


def _two_sides(tree: Tree) -> Iterable[tuple[tuple[str, str], list[Item], list[Item]]]:
    """Ways to see the files as two sides: by a folder's name at some depth, then by their endings."""
    files = [(file, [part for part in file.folder if not is_split_folder(part)]) for file in tree.images]
    shallowest = min((len(parts) for _, parts in files), default=0)
    for depth in range(shallowest):
        names = sorted({parts[depth] for _, parts in files})
        if len(names) == 2:
            sides: dict[str, list[Item]] = {name: [] for name in names}
            for file, parts in files:
                place = (*parts[:depth], *parts[depth + 1 :])
                sides[parts[depth]].append(Item(file, place, split_of_folders(file.folder)))
            yield (names[0], names[1]), sides[names[0]], sides[names[1]]
    endings = sorted({file.suffix for file, _ in files})
    if len(endings) == 2:
        items = [Item(file, tuple(parts), split_of_folders(file.folder)) for file, parts in files]
        first, second = ([item for item in items if item.file.suffix == ending] for ending in endings)
        yield (endings[0], endings[1]), first, second


def _recognition(tree: Tree, pairing: Pairing, evidence: str) -> Recognition | None:
    if not pairing.pairs:
        return None
    bare = _splits_without_masks(pairing)
    unlabelled = Counter(item.split for item in pairing.images if item.split in bare)
    notes = [
        f"{count(number, 'image')} in {split} without masks not used" for split, number in unlabelled.items()
    ]
    pairing = replace(pairing, images=[item for item in pairing.images if item.split not in bare])
    names = unique_names([image.file for image, _ in pairing.pairs])
    samples = [
        Sample(
            name, Source(tree.path(image.file)), Source(tree.path(mask.file)), split=image.split or mask.split
        )
        for name, (image, mask) in zip(names, pairing.pairs, strict=True)
    ]
    return Recognition(
        "folders", tuple(samples), "; ".join([evidence, *notes]), tuple(unpaired(tree, pairing))
    )


def _splits_without_masks(pairing: Pairing) -> list[str]:
    """Splits in which nothing has a mask, as is usual for the test part of a competition."""
    with_masks = {item.split for pair_ in pairing.pairs for item in pair_} | {
        item.split for item in pairing.masks
    }
    return sorted({item.split for item in pairing.images if item.split} - with_masks)


def unique_names(images: Sequence[File]) -> list[str]:
    """A name for each image: its path without the folders that only say image, or that all share."""
    names = [told_name(image) for image in images]
    if len(set(names)) < len(names):
        names = [image.where for image in images]
    parents = [name.split("/")[:-1] for name in names]
    shared = 0
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return ["/".join(name.split("/")[shared:]) for name in names]


def _tops(files: Iterable[File]) -> str:
    """The folders of some files, a few of them by name."""
    folders = sorted({"/".join(file.folder) or "." for file in files})
    return ", ".join(folders[:3]) + (f" and {len(folders) - 3} more folders" if len(folders) > 3 else "")
