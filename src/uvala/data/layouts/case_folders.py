"""A folder for each case, with one image and a mask for each object: CASE/images/*.png, CASE/masks/*.png.

The form of the Data Science Bowl 2018. The image may lie in CASE itself; a case with one mask is one, too.
"""

from dataclasses import dataclass, field

from uvala.data.layouts.recognition import Recognition, Unpaired
from uvala.data.layouts.sides import is_split_folder, split_of_folders
from uvala.data.layouts.tree import File, Tree
from uvala.data.layouts.words import bare_stem, folder_name
from uvala.data.sample import Sample
from uvala.data.wording import count
from uvala.images.read import Source

__all__ = ["recognise_case_folders"]


@dataclass
class _Case:
    images: list[File] = field(default_factory=list)
    masks: list[File] = field(default_factory=list)


def recognise_case_folders(tree: Tree) -> Recognition | None:
    """A sample for each case folder with one image and at least one mask; None if there is none."""
    cases = _cases(tree)
    whole = {where: case for where, case in cases.items() if len(case.images) == 1 and case.masks}
    if not whole:
        return None
    objects = any(len(case.masks) > 1 for case in whole.values())
    if not objects and all(_alike(case) for case in whole.values()):
        return None  # pairs of files of the same name in some folders: that is the layout "folders"
    samples = []
    for name, (where, case) in zip(_names(whole), whole.items(), strict=True):
        masks = tuple(Source(tree.path(mask)) for mask in case.masks)
        # where other cases have a file per object, a single file is one object, and not all there is to see
        mask = masks if objects else masks[0]
        samples.append(Sample(name, Source(tree.path(case.images[0])), mask, split=split_of_folders(where)))
    evidence = f"{count(len(samples), 'folder')} with one image" + (
        f" and a mask for each object ({count(sum(len(case.masks) for case in whole.values()), 'mask')})"
        if objects
        else " and one mask"
    )
    labelled = {sample.split for sample in samples}
    bare = {where for where, case in cases.items() if not case.masks} - whole.keys()
    bare = {where for where in bare if split_of_folders(where) not in {None, *labelled}}
    if bare:
        evidence += f"; {count(len(bare), 'case')} of a split without masks not used"
    rest = [case for where, case in cases.items() if where not in whole.keys() | bare]
    found = [Unpaired(tree.path(file), _reason(case)) for case in rest for file in case.images + case.masks]
    return Recognition("case folders", tuple(samples), evidence, tuple(sorted(found)))


def _cases(tree: Tree) -> dict[tuple[str, ...], _Case]:
    """Folders with both an image and a mask folder, or with a mask folder and images of their own."""
    cases: dict[tuple[str, ...], _Case] = {}
    for folder, files in tree.image_folders.items():
        name = folder_name(folder[-1]) if folder else None
        if name is not None and name.sure and name.side is not None:
            case = cases.setdefault(folder[:-1], _Case())
            (case.images if name.side == "image" else case.masks).extend(files)
    for where, case in cases.items():
        if not case.images:
            case.images = tree.image_folders.get(where, [])
    # the data set itself is not a case: images/ and masks/ with one file each are plain folders
    return {
        where: case
        for where, case in sorted(cases.items())
        if any(not is_split_folder(part) for part in where)
    }


def _names(cases: dict[tuple[str, ...], _Case]) -> list[str]:
    """Names by case: "CASE.png" where images are called like their folders, else "CASE/a.png"."""
    images = [(where, case.images[0]) for where, case in cases.items()]
    alike = all(where[-1] == image.stem for where, image in images)
    return ["/".join((*(where[:-1] if alike else where), image.name)) for where, image in images]


def _alike(case: _Case) -> bool:
    return bare_stem(case.images[0].stem, "image") == bare_stem(case.masks[0].stem, "mask")


def _reason(case: _Case) -> str:
    if not case.masks:
        return "case without a mask"
    if not case.images:
        return "case without an image"
    return f"case with {len(case.images)} images, of which one was expected"
