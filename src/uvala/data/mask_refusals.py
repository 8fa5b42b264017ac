"""Masks that no encoding explains: what is said about each kind of them."""

from collections.abc import Iterable, Sequence

from uvala.arrays import MAX_CLASSES
from uvala.data.dataset_toml import DATASET_TOML, DatasetToml
from uvala.data.mask_facts import MaskFacts
from uvala.data.mask_values import PooledValues
from uvala.data.masks import Kind
from uvala.data.wording import count, name_some
from uvala.errors import MaskError

__all__ = [
    "RefusedMasks",
    "like_photographs",
    "lost_in_jpeg",
    "one_value",
    "refuse_two_spellings",
    "too_many",
    "two_kinds",
    "unlike_the_others",
]


class RefusedMasks(MaskError):
    """A MaskError that knows all masks concerned, of which its sentence names a few: for the mask doctor."""

    def __init__(self, *, found: str, expected: str, fix: str, masks: Iterable[MaskFacts] = ()) -> None:
        super().__init__(found=found, expected=expected, fix=fix)
        self.files = tuple(mask.name for mask in masks)


def two_kinds(first: str, some: Sequence[MaskFacts], second: str, others: Sequence[MaskFacts]) -> MaskError:
    """Masks in two kinds of encoding, of which the fewer are named."""
    few = min((some, others), key=len)
    return RefusedMasks(
        masks=few,
        found=f"{count(len(some), f'{first} mask')} and {count(len(others), f'{second} mask')} whose values "
        f"contradict; the {first if few is some else second} ones: {name_some(mask.name for mask in few)}",
        expected="all masks in one encoding",
        fix="save these like the others",
    )


def like_photographs(photographs: Sequence[MaskFacts], number: int) -> MaskError:
    """Some masks, or most of the `number` of them, that look like images."""
    most = max(photographs, key=lambda mask: mask.distinct)
    what = f"{most.distinct:,} {'colours' if most.colour else 'values'}"
    png = "; save masks as PNG, for JPEG blurs them" if most.lossy else ""
    if len(photographs) * 2 > number:
        swapped = "perhaps the folders of images and masks are swapped, or these are overlays"
        return RefusedMasks(
            masks=photographs,
            found=f"masks that look like photographs: {most.name} has {what}, and "
            f"{len(photographs):,} of {number:,} masks are like it",
            expected="masks with one value or colour for each class",
            fix=f"give the masks; {swapped}{png}",
        )
    return RefusedMasks(
        masks=photographs,
        found=f"{count(len(photographs), 'mask')} with up to {what}, as photographs have: "
        f"{name_some(mask.name for mask in photographs)}",
        expected="one value or colour for each class, as in the other masks",
        fix=f"give the mask itself, or take the pair out{png}",
    )


def refuse_two_spellings(
    masks: Sequence[MaskFacts], pool: PooledValues, kind: Kind, toml: DatasetToml
) -> None:
    """0 and 1 in some masks, 0 and 255 in others: the same two classes, or void? Only the user can know."""
    if kind == "colours" or toml.ignore_codes is not None or not {1, 255} <= set(pool.values.tolist()):
        return
    ones = [mask for mask in masks if mask.highest == 1]
    full = [mask for mask in masks if mask.highest == 255 and (mask.lossy or not mask.count(1))]
    empty = sum(mask.highest == 0 for mask in masks)
    between = int(pool.pixels[(pool.values > 1) & (pool.values < 128)].sum())
    if not ones or not full or len(ones) + len(full) + empty < len(masks) or between > 0.1 * pool.total:
        return
    raise RefusedMasks(
        masks=ones if len(ones) <= len(full) else full,
        found=f"two spellings: 0 and 1 in {count(len(ones), 'mask')}, such as {ones[0].name}; 0 and 255 in "
        f"{count(len(full), 'mask')}, such as {full[0].name}",
        expected="one spelling in all masks",
        fix=f"write into {DATASET_TOML}: `[classes]` background = 0 and foreground = [1, 255] if 1 and 255 "
        "mean the same, or `ignore = [255]` if 255 is void",
    )


def one_value(masks: Sequence[MaskFacts], kind: Kind, value: int | None = None) -> MaskError:
    """Masks that all hold nothing but one value."""
    spelt = "" if value is None else f" {f'#{value:06x}' if kind == 'colours' else value}"
    empty = ", so all of them are empty" if value == 0 else ""
    return RefusedMasks(
        masks=masks,
        found=f"{count(len(masks), 'mask')} with the single value{spelt}{empty}, such as {masks[0].name}",
        expected="at least two classes, the background included",
        fix="see how the masks were exported, and whether these files are the masks",
    )


def unlike_the_others(masks: Sequence[MaskFacts], usual: float) -> MaskError:
    """A few masks that hold many values which the others, with `usual` values each, do not have."""
    most = max(mask.distinct for mask in masks)
    return RefusedMasks(
        masks=masks,
        found=f"{count(len(masks), 'mask')} with up to {most:,} values, most of them in no other mask: "
        f"{name_some(mask.name for mask in masks)}",
        expected=f"about {usual:.0f} values, as in the other masks",
        fix="export these masks like the others, or take the pairs out",
    )


def lost_in_jpeg(masks: Sequence[MaskFacts]) -> MaskError:
    """Masks saved with loss whose values lie so close together that none can be told from its neighbours."""
    return RefusedMasks(
        masks=masks,
        found=f"{count(len(masks), 'mask')} saved with loss (JPEG), which mixed values that are close: "
        f"{name_some(mask.name for mask in masks)}",
        expected="masks in which each value is as it was drawn",
        fix="export these as PNG",
    )


def too_many(masks: Sequence[MaskFacts], number: int, kind: Kind) -> MaskError:
    """More values than there can be classes, or values that are mostly edges."""
    most = max(masks, key=lambda mask: mask.distinct)
    noun = "colour" if kind == "colours" else "value"
    objects = (
        "number objects 1, 2, 3, ... in 16-bit PNG if each has its own colour"
        if kind == "colours"
        else f'write task = "instances" into {DATASET_TOML} if each value is the number of an object'
    )
    return RefusedMasks(
        masks=[mask for mask in masks if mask.distinct > MAX_CLASSES],
        # of a mask with very many values only the most frequent were kept, so `number` may be too low
        found=f"{max(number, most.distinct):,} {noun}s in {count(len(masks), 'mask')}, {most.distinct:,} of "
        f"them in {most.name}",
        expected=f"one {noun} for each class, {MAX_CLASSES} at most",
        fix=f"save the masks without loss and without smoothing, or {objects}",
    )
