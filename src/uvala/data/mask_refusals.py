"""Masks that no encoding explains: what is said about each kind of them."""

from collections.abc import Sequence

from uvala.arrays import MAX_CLASSES
from uvala.data.dataset_toml import DATASET_TOML, DatasetToml
from uvala.data.mask_facts import MaskFacts
from uvala.data.mask_values import PooledValues
from uvala.data.masks import Kind
from uvala.data.wording import count, name_some
from uvala.errors import MaskError

__all__ = ["one_value", "refuse_photographs", "refuse_two_spellings", "too_many", "two_kinds"]


def two_kinds(first: str, some: Sequence[MaskFacts], second: str, others: Sequence[MaskFacts]) -> MaskError:
    """Masks in two kinds of encoding, of which the fewer are named."""
    few = min((some, others), key=len)
    return MaskError(
        found=f"{count(len(some), f'{first} mask')} and {count(len(others), f'{second} mask')} whose values "
        f"contradict; the {first if few is some else second} ones: {name_some(mask.name for mask in few)}",
        expected="all masks in one encoding",
        fix="save these like the others",
    )


def refuse_photographs(masks: Sequence[MaskFacts]) -> None:
    """MaskError if some masks look like images."""
    photographs = [mask for mask in masks if mask.like_photograph]
    if not photographs:
        return
    most = max(photographs, key=lambda mask: mask.distinct)
    what = f"{most.distinct:,} {'colours' if most.colour else 'values'}"
    if len(photographs) * 2 > len(masks):
        raise MaskError(
            found=f"masks that look like photographs: {most.name} has {what}, and "
            f"{len(photographs):,} of {len(masks):,} masks are like it",
            expected="masks with one value or colour for each class",
            fix="give the masks; perhaps the folders of images and masks are swapped, or these are overlays",
        )
    raise MaskError(
        found=f"{count(len(photographs), 'mask')} that look like photographs, with up to {what}: "
        f"{name_some(mask.name for mask in photographs)}",
        expected="one value or colour for each class, as in the other masks",
        fix="replace these masks, or take them out",
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
    raise MaskError(
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
    return MaskError(
        found=f"{count(len(masks), 'mask')} with the single value{spelt}{empty}, such as {masks[0].name}",
        expected="at least two classes, the background included",
        fix="see how the masks were exported, and whether these files are the masks",
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
    return MaskError(
        # of a mask with very many values only the most frequent were kept, so `number` may be too low
        found=f"{max(number, most.distinct):,} {noun}s in {count(len(masks), 'mask')}, {most.distinct:,} of "
        f"them in {most.name}",
        expected=f"one {noun} for each class, {MAX_CLASSES} at most",
        fix=f"save the masks without loss and without smoothing, or {objects}",
    )
