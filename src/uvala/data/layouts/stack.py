"""Stacks: a TIFF of many images and a TIFF of as many masks, page by page, as in the ISBI 2012 challenge.

Which stack belongs to which, names say as for single files ("train-volume.tif", "train-labels.tif"). Two lone
stacks whose names say nothing are told apart by a look.
"""

from uvala.data.layouts.folders import pair_folders, pair_stems, unique_names
from uvala.data.layouts.looking import look, second_is_masks
from uvala.data.layouts.pairing import Item, Pairing, unpaired
from uvala.data.layouts.recognition import Recognition, Unpaired
from uvala.data.layouts.tree import Tree
from uvala.data.layouts.words import bare_stem, split_in
from uvala.data.sample import Sample
from uvala.data.wording import count
from uvala.errors import ImageError
from uvala.images.read import Source, count_pages

__all__ = ["recognise_stack"]

_TIFF = {".tif", ".tiff"}


def recognise_stack(tree: Tree) -> Recognition | None:
    """Each page of the image stacks with its page of the label stack; None if there is no such pair."""
    files = [file for file in tree.images if file.suffix in _TIFF]
    if len(files) < 2:
        return None
    pairing = pair_folders(tree)
    if not pairing.pairs:
        pairing = pair_stems(tree)
    if not pairing.pairs and len(files) == 2:
        pairing = _two_stacks(tree, Item(files[0], ()), Item(files[1], ()))
    return _read_pairs(tree, pairing) if pairing.pairs else None


def _read_pairs(tree: Tree, pairing: Pairing) -> Recognition | None:
    pairs = pairing.pairs
    # ten thousand pairs of single images are told by the first, the middle and the last of them
    if not any(_pages(tree, pairs[at][1]) > 1 for at in {0, len(pairs) // 2, len(pairs) - 1}):
        return None
    stacks: list[tuple[Item, Item, int]] = []
    uneven: list[Unpaired] = []
    for image, mask in pairs:
        pages, labels = _pages(tree, image), _pages(tree, mask)
        if pages == labels > 1:
            stacks.append((image, mask, pages))
        elif pages > 1 or labels > 1:
            reason = f"{pages} pages, but {labels} in {mask.file.where}"
            uneven.append(Unpaired(tree.path(image.file), reason))
    if not stacks:
        return None
    samples = _samples(tree, stacks)
    bare = [item for item in pairing.images if split_in(item.file.stem) or item.split]
    names = ", ".join(item.file.where for item in bare)
    evidence = f"{count(len(samples), 'page')} of {stacks[0][0].file.where}"
    evidence += f" and {count(len(stacks) - 1, 'more stack')}" if len(stacks) > 1 else ""
    evidence += f", each with its page of {stacks[0][1].file.where}" + (
        "" if len(stacks) == 1 else " and the like"
    )
    evidence += f"; {names} without labels and not used" if bare else ""
    rest = Pairing(
        [], pairing.ambiguous, [item for item in pairing.images if item not in bare], pairing.masks
    )
    return Recognition("stack", tuple(samples), evidence, tuple(sorted([*uneven, *unpaired(tree, rest)])))


def _samples(tree: Tree, stacks: list[tuple[Item, Item, int]]) -> list[Sample]:
    names = unique_names([image.file for image, _, _ in stacks])
    stems = [split_in(bare_stem(image.file.stem, "image")) for image, _, _ in stacks]
    # one stack called "train" is all the data there are; only beside another is its name a split
    told = len(set(stems)) > 1 and None not in stems
    return [
        Sample(
            name=f"{name}#{page}",
            image=Source(tree.path(image.file), page),
            mask=Source(tree.path(mask.file), page),
            # the pages of one stack are alike, but with a single stack they are all there is to split
            group=name if len(stacks) > 1 else None,
            split=image.split or mask.split or (stem if told else None),
        )
        for name, stem, (image, mask, pages) in zip(names, stems, stacks, strict=True)
        for page in range(pages)
    ]


def _two_stacks(tree: Tree, first: Item, second: Item) -> Pairing:
    if not _pages(tree, first) == _pages(tree, second) > 1:
        return Pairing()
    looks = [look([Source(tree.path(item.file), 0)]) for item in (first, second)]
    decided = second_is_masks(looks[0], looks[1]) if looks[0] and looks[1] else None
    if decided is None:
        return Pairing()
    return Pairing([(first, second) if decided else (second, first)])


def _pages(tree: Tree, item: Item) -> int:
    """Pages of a file, 0 if it cannot be read: that is said when its pixels are read."""
    try:
        return count_pages(tree.path(item.file)) if item.file.suffix in _TIFF else 1
    except ImageError:
        return 0
