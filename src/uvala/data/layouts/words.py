"""What the names of folders and files say: image or mask, train, val or test, and which two belong together.

The lists hold names that published data sets and common tools use; upper and lower case are the same.
"""

import re
from functools import lru_cache
from typing import Literal, NamedTuple

__all__ = ["FolderName", "Side", "bare_stem", "folder_name", "is_mask_stem", "split_in", "split_word"]

Side = Literal["image", "mask"]

_SPLITS = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "ts"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


IMAGE_FOLDERS = _words(
    "images image imgs img im raw input inputs x photos photo pictures pics scans frames rgb original "
    "originals source sources slices data"
)
MASK_FOLDERS = _words(
    "masks mask labels label annotations annotation annots annot anno gt gts ground_truth ground_truths "
    "groundtruth groundtruths truth truths targets target seg segs segmentation segmentations y output "
    "outputs manual 1st_manual 2nd_manual instances label_images mask_images labelled_images"
)
# Only as a whole name: within longer names these say little ("data_2019", "x_ray", "source_b").
_WEAK = {"x", "y", "im", "raw", "input", "output", "outputs", "data", "source", "sources", "target", "manual"}


class FolderName(NamedTuple):
    """What the name of a folder says.

    sure: all of it was understood. family: the name without its split, so that "train_masks" and "val_masks"
    are one family, and "masks" and "labels" two.
    """

    side: Side | None
    split: str | None
    sure: bool
    family: str


@lru_cache(maxsize=4096)
def folder_name(name: str) -> FolderName:
    """What a folder's name says of the files in it: "train_images" -> image, train."""
    word = re.sub(r"[\s\-.]+", "_", name.lower()).strip("_")
    if word in _SPLIT_OF:
        return FolderName(None, _SPLIT_OF[word], True, "")
    for split, rest in _without_split(word):
        if rest in MASK_FOLDERS or rest in IMAGE_FOLDERS:
            return FolderName("mask" if rest in MASK_FOLDERS else "image", split, True, rest)
    parts = [part for part in word.split("_") if part not in _WEAK]
    split = next((_SPLIT_OF[part] for part in parts if part in _SPLIT_OF), None)
    family = "_".join(part for part in word.split("_") if part not in _SPLIT_OF)
    if any(part in MASK_FOLDERS for part in parts):  # first: "label_images_v2" are masks
        return FolderName("mask", split, False, family)
    side: Side | None = "image" if any(part in IMAGE_FOLDERS for part in parts) else None
    return FolderName(side, split, False, family)


def _without_split(word: str) -> list[tuple[str | None, str]]:
    """The name itself, and what a split word at either end leaves of it: "trainannot", "imagesTr"."""
    found: list[tuple[str | None, str]] = [(None, word)]
    for part, split in _SPLIT_OF.items():
        if word.startswith(part if len(part) > 2 else f"{part}_"):  # "tr" begins "trim", too
            found.append((split, word[len(part) :].lstrip("_")))
        if word.endswith(part):
            found.append((split, word[: -len(part)].rstrip("_")))
    return found


def split_word(text: str) -> str | None:
    """'train', 'val' or 'test' for a word that means it, or None."""
    return _SPLIT_OF.get(text.strip().lower())


def split_in(stem: str) -> str | None:
    """The split that a file's stem names in one of its words ("train-volume" -> train), or None."""
    found = {_SPLIT_OF[word] for word in re.split(r"[\W_]+", stem.lower()) if word in _SPLIT_OF}
    return found.pop() if len(found) == 1 else None


_IMAGE_AFFIX = (
    "images?|imgs?|im|raw|sat|orig|original|inputs?|rgb|photo|frame|volume|vol|stack|0000|leftimg8bit|x"
)
_MASK_AFFIX = (
    "masks?|labels?|lbls?|seg|segs|segmentations?|gt|ground[_\\- ]?truth|truth|targets?|annotations?|annots?"
    "|anno|manual\\d?|(?:1st|2nd)[_\\- ]manual|instances?|(?:instance|label)[_\\- ]?ids|class(?:es)?|matte|y"
)


def _affixes(words: str, more_ends: str = "$^") -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns for one of the words at the start and at the end, set off by a separator or by a digit."""
    start = re.compile(rf"^(?:{words})(?:[_\-. ]+|(?=[\d(])|$)")
    end = re.compile(rf"(?:^|[_\-. ]+|(?<=[\d)]))(?:{words})$|{more_ends}")
    return start, end


_AFFIXES: dict[Side, tuple[re.Pattern[str], re.Pattern[str]]] = {
    # DRIVE: 21_training.tif and 21_manual1.gif; but "train-volume" is the image of "train-labels"
    "image": _affixes(_IMAGE_AFFIX, more_ends=r"(?<=\d)_(?:training|test)$"),
    "mask": _affixes(_MASK_AFFIX),
}


@lru_cache(maxsize=1 << 16)
def bare_stem(stem: str, side: Side) -> str:
    """`stem`, in lower case, without the words that only say image or mask: "a_Mask" -> "a", "mask" -> ""."""
    start, end = _AFFIXES[side]
    word = stem.lower()
    while (shorter := start.sub("", end.sub("", word, count=1), count=1)) != word:
        word = shorter
    return word


def is_mask_stem(stem: str) -> bool:
    """Whether a file's stem says that it is a mask: "a_mask", "gt_01", "train-labels"."""
    return bare_stem(stem, "mask") != stem.lower()
