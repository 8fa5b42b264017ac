"""Layouts: how images and masks lie in a folder. Each answers with samples and evidence; one is chosen."""

from dataclasses import replace
from pathlib import Path

from uvala.data.layouts.case_folders import recognise_case_folders
from uvala.data.layouts.class_list import read_class_names
from uvala.data.layouts.csv_manifest import read_manifest, recognise_csv, unused_tables
from uvala.data.layouts.folders import recognise_folders
from uvala.data.layouts.recognition import Recognition, Unpaired
from uvala.data.layouts.refusals import no_such_path, not_a_folder, nothing_recognised, with_tables
from uvala.data.layouts.stack import recognise_stack
from uvala.data.layouts.tree import File, Tree, walk
from uvala.data.layouts.voc import recognise_voc

__all__ = ["Recognition", "Unpaired", "recognise"]

# From the most particular form to the most general: of two that find as many samples, the first is chosen.
_LAYOUTS = (recognise_csv, recognise_voc, recognise_stack, recognise_case_folders, recognise_folders)


def recognise(root: Path) -> Recognition:
    """The samples of a folder, or of a manifest, and how they were recognised; no image is decoded.

    What the data state (a manifest, the lists of Pascal VOC) goes before every guess; of the guesses the one
    with the most samples is taken. LayoutError if nothing is recognised: it says what is there instead.
    """
    root = Path(root)
    if not root.exists():
        raise no_such_path(root)
    if root.is_file():
        return _from_file(root)
    tree = walk(root)
    answers = [answer for layout in _LAYOUTS if (answer := layout(tree)) is not None and answer.samples]
    if not answers:
        raise with_tables(nothing_recognised(tree), unused_tables(tree, all_tables=True))
    best = max(answers, key=lambda answer: (answer.stated, len(answer.samples)))
    tables = () if best.stated else unused_tables(tree, all_tables=False)
    return replace(best, unpaired=(*tables, *best.unpaired), class_names=read_class_names(tree))


def _from_file(path: Path) -> Recognition:
    if path.suffix.lower() in {".csv", ".tsv"}:
        beside = Tree(path.parent, tuple(File((), entry.name) for entry in path.parent.iterdir()))
        return replace(read_manifest(path), class_names=read_class_names(beside))
    raise not_a_folder(path)
