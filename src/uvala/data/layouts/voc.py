"""Pascal VOC: JPEGImages, SegmentationClass and, where the split is stated, ImageSets/Segmentation/*.txt.

Source: Everingham et al. (2015), "The Pascal visual object classes challenge: a retrospective", and its
development kit.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from uvala.data.layouts.recognition import Recognition, Unpaired
from uvala.data.layouts.tree import File, Tree
from uvala.data.sample import Sample
from uvala.data.wording import count
from uvala.images.read import IMAGE_SUFFIXES, Source

__all__ = ["recognise_voc"]

_IMAGES, _MASKS, _LISTS = "jpegimages", "segmentationclass", ("imagesets", "segmentation")
# In this order, later ones win: "trainval" says that an image may be used, but not for what; what stands in
# "test" is never trained on, whatever else lists it.
_LIST_NAMES = ("trainval", "train", "val", "test")


@dataclass
class _Kit:
    """The files of one VOC folder by stem, and its lists of stems by name."""

    images: dict[str, File] = field(default_factory=dict)
    masks: dict[str, File] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def splits(self) -> dict[str, str | None]:
        """The split of each listed stem; None where only "trainval" lists it."""
        return {
            stem: None if name == "trainval" else name
            for name in _LIST_NAMES
            for stem in self.lists.get(name, ())
        }


def recognise_voc(tree: Tree) -> Recognition | None:
    """The images with masks in each VOC folder of `tree`; where there are lists, those that they name."""
    kits = {where: kit for where, kit in _kits(tree).items() if kit.images and kit.masks}
    samples: list[Sample] = []
    found: list[Unpaired] = []
    notes = ["JPEGImages and SegmentationClass, as in Pascal VOC"]
    for where, kit in sorted(kits.items()):
        splits = kit.splits()
        wanted = splits or dict.fromkeys(sorted(kit.images.keys() & kit.masks.keys()))
        prefix = "/".join((*where, "")) if len(kits) > 1 else ""
        samples += _samples(tree, kit, wanted, prefix)
        found += _missing(tree, kit, splits)
        notes += _notes(kit, splits)
    if not samples:
        return None
    stated = any(kit.lists for kit in kits.values())
    return Recognition("Pascal VOC", tuple(samples), "; ".join(notes), tuple(sorted(found)), stated=stated)


def _kits(tree: Tree) -> dict[tuple[str, ...], _Kit]:
    kits: dict[tuple[str, ...], _Kit] = {}
    for folder, files in tree.image_folders.items():
        if folder and folder[-1].lower() in {_IMAGES, _MASKS}:
            kit = kits.setdefault(folder[:-1], _Kit())
            by_stem = kit.images if folder[-1].lower() == _IMAGES else kit.masks
            by_stem.update((file.stem, file) for file in files)
    for file in tree.files:
        above, kind = file.folder[:-2], tuple(part.lower() for part in file.folder[-2:])
        if kind == _LISTS and file.suffix == ".txt" and file.stem.lower() in _LIST_NAMES and above in kits:
            kits[above].lists[file.stem.lower()] = _read_list(tree, file)
    return kits


def _read_list(tree: Tree, file: File) -> list[str]:
    """The stems in a list: the first word of each line, which some lists write as the path of the image."""
    lines = tree.path(file).read_text(encoding="utf-8-sig", errors="replace").splitlines()
    names = [
        File((), PurePosixPath(line.split()[0].replace("\\", "/")).name) for line in lines if line.strip()
    ]
    return [name.stem if name.suffix in IMAGE_SUFFIXES else name.name for name in names]


def _samples(tree: Tree, kit: _Kit, wanted: Mapping[str, str | None], prefix: str) -> list[Sample]:
    return [
        Sample(
            name=f"{prefix}{kit.images[stem].name}",
            image=Source(tree.path(kit.images[stem])),
            mask=Source(tree.path(kit.masks[stem])),
            split=split,
        )
        for stem, split in wanted.items()
        if stem in kit.images and stem in kit.masks
    ]


def _missing(tree: Tree, kit: _Kit, splits: Mapping[str, str | None]) -> list[Unpaired]:
    """Listed names without a file; without lists, masks without an image. Other images are just not used."""
    bare = _bare_splits(kit, splits)
    no_image = [stem for stem in splits if stem not in kit.images]
    no_mask = [
        stem for stem in splits if stem in kit.images and stem not in kit.masks and splits[stem] not in bare
    ]
    alone = [] if splits else sorted(kit.masks.keys() - kit.images.keys())
    images = tree.path(next(iter(kit.images.values()))).parent
    return [
        *(
            Unpaired(images / f"{stem}.jpg", "listed, but there is no image of that name")
            for stem in no_image
        ),
        *(
            Unpaired(tree.path(kit.images[stem]), "listed, but there is no mask of that name")
            for stem in no_mask
        ),
        *(Unpaired(tree.path(kit.masks[stem]), "mask without an image of that name") for stem in alone),
    ]


def _bare_splits(kit: _Kit, splits: Mapping[str, str | None]) -> set[str]:
    """Splits in which nothing has a mask: the test part of a competition keeps its masks to itself."""
    with_masks = {split for stem, split in splits.items() if stem in kit.masks}
    return {split for split in splits.values() if split is not None} - with_masks


def _notes(kit: _Kit, splits: Mapping[str, str | None]) -> list[str]:
    notes = []
    if splits:
        notes.append("split by ImageSets/Segmentation")
    listed = Counter(stem for name in _LIST_NAMES[1:] for stem in set(kit.lists.get(name, ())))
    if twice := sum(times > 1 for times in listed.values()):
        notes.append(
            f"{count(twice, 'name')} in several lists, of which test wins over val and val over train"
        )
    for split in sorted(_bare_splits(kit, splits)):
        bare = sum(its == split for its in splits.values())
        notes.append(f"{count(bare, 'image')} in {split} without masks not used")
    with_masks = kit.images.keys() & kit.masks.keys()
    if splits and (spare := len(with_masks - splits.keys())):
        notes.append(f"{count(spare, 'pair')} outside the lists not used")
    if not splits and (spare := len(kit.images.keys() - with_masks)):
        notes.append(f"{count(spare, 'image')} without a mask not used")
    return notes
