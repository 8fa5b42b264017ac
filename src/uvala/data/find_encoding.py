"""How the masks of a data set spell their classes, found by looking at all of them.

The order of the questions: do the masks hold colours, palette indices or numbers; do the numbers count
objects; are these masks at all; are some values only blurred edges; which value means "do not look"; what are
the names. What is decided is said in a sentence and shown as a table, and dataset.toml overrides each answer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uvala.arrays import MAX_CLASSES
from uvala.config import build
from uvala.data.class_names import name_classes
from uvala.data.dataset_toml import DATASET_TOML, DatasetToml
from uvala.data.encoding_table import strange_values
from uvala.data.mask_facts import MaskFacts
from uvala.data.mask_refusals import (
    RefusedMasks,
    like_photographs,
    lost_in_jpeg,
    one_value,
    refuse_two_spellings,
    too_many,
    two_kinds,
    unlike_the_others,
)
from uvala.data.mask_values import (
    PooledValues,
    Space,
    as_indices,
    contradicting_palettes,
    drawn_values,
    pool_values,
    share_near,
    values_as,
)
from uvala.data.masks import ClassEntry, Kind, MaskEncoding
from uvala.data.voc_colours import VOC_COLOURS, VOC_VOID
from uvala.data.wording import count, hold, name_some
from uvala.errors import MaskError

__all__ = ["FoundEncoding", "find_encoding"]

_FEW_ORGANS = 4  # such as the ventricles and the heart muscle, in one piece each and in every image


@dataclass(frozen=True)
class FoundEncoding:
    """An encoding, the sentences that say what it rests on, and the stray values that it ignores.

    strays: values on a few pixels of very few masks, most likely slips of the pen; they are not learnt.
    perhaps_objects: read as classes, although the values may as well be the numbers of objects.
    """

    encoding: MaskEncoding
    evidence: tuple[str, ...]
    strays: tuple[int, ...] = ()
    perhaps_objects: bool = False


def find_encoding(
    masks: Sequence[MaskFacts], names: Sequence[str] | None = None, toml: DatasetToml | None = None
) -> FoundEncoding:
    """The encoding that explains all `masks`. What `toml` says is taken as given.

    names: of the classes, from a classes.txt beside the data; used where their number fits.
    MaskError if no encoding explains the masks: photographs, one value only, contradictions, too many values.
    """
    toml = toml or DatasetToml()
    if not masks:
        raise MaskError(
            found="no mask that can be read", expected="a mask beside each image", fix="see `uvala check`"
        )
    if any(mask.objects is not None for mask in masks):
        return _object_files(masks, names, toml)
    kind, reason = _kind_of(masks, toml)
    _refuse_photographs(masks, [mask for mask in masks if mask.colour], "colours", toml)
    masks = _in_one_space(masks, kind)
    pool = pool_values(masks, "colours" if kind == "colours" else "numbers")
    if toml.class_entries is not None:
        return _declared(masks, pool, kind, toml, toml.class_entries)
    if len(pool.values) == 1:
        raise one_value(masks, kind, int(pool.values[0]))
    sentence = _numbers_objects(masks, pool, kind, toml)
    if sentence:
        return _instances(masks, kind, names, toml, sentence)
    _refuse_photographs(masks, [mask for mask in masks if not mask.colour], kind, toml)
    refuse_two_spellings(masks, pool, kind, toml)
    return _classes(masks, pool, kind, names, toml, reason)


def _refuse_photographs(
    masks: Sequence[MaskFacts], some: Sequence[MaskFacts], kind: Kind, toml: DatasetToml
) -> None:
    """MaskError if `some` of the masks are images: they look so, and no drawn values explain them."""
    suspects = [mask for mask in some if mask.like_photograph]
    if not suspects:
        return
    space: Space = "colours" if kind == "colours" else "numbers"
    others = [mask for mask in some if not mask.like_photograph] or some
    drawn = _drawn(others, pool_values(others, space), kind, toml)
    photographs = [mask for mask in suspects if drawn is None or share_near(mask, drawn, space) < 0.6]
    if photographs:
        raise like_photographs(photographs, len(masks))


def _kind_of(masks: Sequence[MaskFacts], toml: DatasetToml) -> tuple[Kind, str | None]:
    """What a pixel holds, and a sentence if that needs one."""
    with_palette = sum(mask.palette is not None for mask in masks)
    if toml.colours or sum(mask.colour for mask in masks) > with_palette:
        return "colours", None
    if with_palette * 2 < len(masks):
        return "values", None
    if contradicting_palettes(masks):
        return (
            "colours",
            "an index of the palette has other colours in other masks, so the colours are the classes",
        )
    return "palette", None


def _in_one_space(masks: Sequence[MaskFacts], kind: Kind) -> Sequence[MaskFacts]:
    """The masks with their values in the space of `kind`; MaskError naming those that do not fit in."""
    coloured = [mask for mask in masks if mask.colour]
    if kind == "colours":
        plain = [mask for mask in masks if not mask.colour and mask.palette is None]
        known = set(pool_values(coloured, "colours").values.tolist()) | {0} if coloured and plain else set()
        odd = [mask for mask in plain if not set(values_as(mask, "colours").tolist()) <= known]
        if coloured and odd:
            raise two_kinds("colour", coloured, "grey", odd)
        return masks
    if not coloured:
        return masks
    palette = _palette_of(masks)
    fitting = [as_indices(mask, palette) if mask.colour else mask for mask in masks] if len(palette) else []
    if None in fitting or not fitting:
        others = [mask for mask in masks if not mask.colour]
        raise two_kinds("colour", coloured, "palette" if len(palette) else "grey", others)
    return [mask for mask in fitting if mask is not None]


def _palette_of(masks: Sequence[MaskFacts]) -> NDArray[np.uint8]:
    """The palette that covers most indices, uint8 [N, 3]; empty if no mask has one."""
    palettes = [mask.palette for mask in masks if mask.palette is not None]
    return np.frombuffer(max(palettes, key=len, default=b""), np.uint8).reshape(-1, 3)


def _object_files(
    masks: Sequence[MaskFacts], names: Sequence[str] | None, toml: DatasetToml
) -> FoundEncoding:
    if all(mask.distinct == 1 for mask in masks):
        raise one_value(masks, "instances", masks[0].lowest)
    files = sum(mask.objects or 0 for mask in masks)
    sentence = f"{count(files, 'mask file')} {hold(files)} one object each, for {count(len(masks), 'image')}"
    return _instances(masks, "instances", names, toml, sentence)


def _numbers_objects(
    masks: Sequence[MaskFacts], pool: PooledValues, kind: Kind, toml: DatasetToml
) -> str | None:
    """The sentence that says why the masks' values number objects; None if they name classes.

    Object numbers are single connected objects, and either there are more of them than classes can be, or
    each mask counts its own, from 1 to its own n. Class numbers recur from mask to mask.
    """
    if kind == "colours" or toml.task == "classes":
        return None
    if toml.task == "instances":
        return f"{DATASET_TOML} says that the values in the masks number objects"
    looked = [mask.single for mask in masks if mask.single is not None]
    ids = pool.values > 0
    if not looked or ids.sum() < 8 or pool.values[0] < 0 or float(np.mean(looked)) < 0.9:
        return None
    filled = [mask for mask in masks if mask.highest > 0]
    numbers = np.array([mask.distinct - (mask.lowest == 0) for mask in filled])
    several = [mask for mask in filled if mask.distinct > 2]
    areas = [(mask.pixels - mask.count(0)) / (mask.distinct - (mask.lowest == 0)) for mask in several]
    if float(np.median(areas)) < 4:
        return None  # single pixels of noise are connected too
    complete = float(np.median(numbers / np.array([mask.highest for mask in filled]))) >= 0.8
    varying = Counter(numbers.tolist()).most_common(1)[0][1] < 0.8 * len(filled)
    too_many = max(int(ids.sum()), int(numbers.max())) > MAX_CLASSES
    recurring = float(np.mean(pool.masks[ids])) > 0.5 * len(filled)
    large = int(pool.values[-1]) > MAX_CLASSES + 1 and not recurring
    if not (too_many or large or (complete and varying)):
        return None
    return (
        f"{count(len(masks), 'mask')} {hold(len(masks))} up to {numbers.max():,} numbers each, "
        f"{np.mean(looked):.0%} of which are one connected object: they number objects"
    )


def _instances(
    masks: Sequence[MaskFacts], kind: Kind, names: Sequence[str] | None, toml: DatasetToml, sentence: str
) -> FoundEncoding:
    highest = max(mask.highest for mask in masks)
    narrow = highest < 256 and all(mask.dtype in ("uint8", "bool") for mask in masks) and kind != "instances"
    palette = _palette_of(masks) if kind == "palette" else None
    declared = tuple(entry.name for entry in toml.class_entries or ())
    wanted = list(toml.class_names or declared or names or ())
    background, objects = {1: ["background", *wanted], 2: wanted}.get(
        len(wanted), ["background", "foreground"]
    )
    encoding = _build_encoding(
        kind="instances",
        classes=(ClassEntry(name=background, values=(0,)), ClassEntry(name=objects, values=(1,))),
        ignore=toml.ignore_codes or (),
        palette=palette,
        dtype="int32" if highest > 65535 else "uint8" if narrow or palette is not None else "uint16",
    )
    said = f"{sentence}; the classes are {background} and {objects}, and the objects' numbers are kept"
    return FoundEncoding(encoding, (said,))


def _declared(
    masks: Sequence[MaskFacts],
    pool: PooledValues,
    kind: Kind,
    toml: DatasetToml,
    classes: tuple[ClassEntry, ...],
) -> FoundEncoding:
    """The classes as dataset.toml has them; each value in the masks must be one of theirs."""
    if kind == "colours" and not toml.colours:
        raise MaskError(
            found=f"{DATASET_TOML}: classes given as numbers, while masks are colour images, such as "
            f"{next(mask.name for mask in masks if mask.colour or mask.palette)}",
            expected="a colour for each class",
            fix="write them in `[classes]` as in: road = '#804080'",
        )
    if toml.task == "instances":
        raise MaskError(
            found=f'{DATASET_TOML}: task = "instances" together with values of classes',
            expected="either numbers of objects or numbers of classes in the masks",
            fix="give two names only, as in: classes = ['background', 'cell']",
        )
    values = [value for entry in classes for value in entry.values]
    drawn = _drawn(masks, pool, kind, toml)
    explained = drawn is not None and set(drawn) <= set(values)
    snap = explained if toml.snap is None else toml.snap
    encoding = _build_encoding(
        kind=kind,
        classes=classes,
        ignore=toml.ignore_codes or (),
        palette=_palette_of(masks) if kind == "palette" else None,
        snap=snap,
        dtype=_dtype(values, kind, masks),
    )
    strange = {mask.name: strange_values(mask, encoding) for mask in masks} if not snap else {}
    odd = [name for name, found in strange.items() if found]
    if odd:
        shown = sorted({value for found in strange.values() for value in found})
        raise RefusedMasks(
            masks=[mask for mask in masks if strange[mask.name]],
            found=f"values {name_some(map(encoding.spell, shown))} in {count(len(odd), 'mask')}: "
            f"{name_some(odd)}",
            expected=f"only the values in {DATASET_TOML}: {name_some(map(encoding.spell, values), 8)}",
            fix=f"correct the masks, or add the values to {DATASET_TOML} (`[classes]` or `ignore = [...]`)",
        )
    return FoundEncoding(encoding, (f"the classes and their values are those of {DATASET_TOML}",))


def _classes(
    masks: Sequence[MaskFacts],
    pool: PooledValues,
    kind: Kind,
    names: Sequence[str] | None,
    toml: DatasetToml,
    reason: str | None,
) -> FoundEncoding:
    colours = kind == "colours"
    drawn = _drawn(masks, pool, kind, toml)
    if not drawn:
        _refuse_lossy(masks, kind)
        _refuse_outliers(masks, kind, toml.class_names or names)
    strays = () if drawn else _strays(pool, toml.class_names or names)
    present = list(drawn) if drawn else pool.without(strays).values.tolist()
    ignore = _ignored(present, kind, masks, toml)
    values = _in_order([value for value in present if value not in ignore], colours=colours)
    if len(values) < 2:
        raise one_value(masks, kind, *values)
    if len(values) > MAX_CLASSES or (not drawn and _mostly_edges(pool)):
        raise too_many(masks, len(values), kind)
    found_names, unused = name_classes(values, names, colours=colours)
    if toml.class_names is not None:
        found_names, unused = _demanded_names(toml.class_names, values, colours=colours), None
    encoding = _build_encoding(
        kind=kind,
        classes=tuple(
            ClassEntry(name=name, values=(value,)) for name, value in zip(found_names, values, strict=True)
        ),
        ignore=(*ignore, *(value for value in strays if value not in ignore)),
        palette=_palette_of(masks) if kind == "palette" else None,
        snap=bool(drawn),
        dtype=_dtype(values, kind, masks),
    )
    evidence = [_what_was_seen(len(masks), values, ignore, encoding)]
    if drawn:
        evidence.append(
            "values in between are blurred or compressed edges; each is read as the nearest class"
        )
    if strays:
        evidence.append(
            f"{name_some(map(encoding.spell, strays))}: on very few pixels of very few masks, so ignored as "
            "a slip; `uvala check` names the masks"
        )
    named = names or toml.class_names or toml.task == "classes"
    perhaps_objects = not named and _could_number_objects(masks, values)
    if perhaps_objects:
        evidence.append(
            "each value is one connected piece in nearly every mask: if the values number objects, write "
            f'task = "instances" into {DATASET_TOML}'
        )
    return FoundEncoding(encoding, (*evidence, *filter(None, (reason, unused))), strays, perhaps_objects)


def _refuse_lossy(masks: Sequence[MaskFacts], kind: Kind) -> None:
    """MaskError if compression made values of its own and nothing tells them from drawn ones."""
    lossy = [mask for mask in masks if mask.lossy]
    space: Space = "colours" if kind == "colours" else "numbers"
    sound = {value for mask in masks if not mask.lossy for value in values_as(mask, space).tolist()}
    odd = [mask for mask in lossy if mask.distinct > 2 and not set(values_as(mask, space).tolist()) <= sound]
    if odd:
        raise lost_in_jpeg(odd)


def _refuse_outliers(masks: Sequence[MaskFacts], kind: Kind, names: Sequence[str] | None) -> None:
    """MaskError if a few masks hold many values that no other mask has: these are not of the same kind."""
    usual = float(np.median([mask.distinct for mask in masks]))
    odd = [mask for mask in masks if mask.distinct > max(8, 4 * usual)]
    if names or not odd or len(odd) > 0.1 * len(masks):
        return
    space: Space = "colours" if kind == "colours" else "numbers"
    elsewhere = {value for mask in masks if mask not in odd for value in values_as(mask, space).tolist()}
    if all(len(set(values_as(mask, space).tolist()) - elsewhere) > mask.distinct / 2 for mask in odd):
        raise unlike_the_others(odd, usual)


def _drawn(
    masks: Sequence[MaskFacts], pool: PooledValues, kind: Kind, toml: DatasetToml
) -> tuple[int, ...] | None:
    if kind == "palette" or toml.snap is False:
        return None  # neighbouring indices of a palette are not alike
    space: Space = "colours" if kind == "colours" else "numbers"
    rest = pool.without(toml.ignore_codes or ())
    return drawn_values(rest, space, lossy=any(mask.lossy for mask in masks)) if len(rest.values) else None


def _strays(pool: PooledValues, names: Sequence[str] | None) -> tuple[int, ...]:
    """Values in one mask of a hundred at most, and there on less than a thousandth of the pixels."""
    if pool.number < 20:
        return ()
    share_where_present = pool.pixels / (pool.masks * pool.total / pool.number)
    rare = (pool.masks <= max(1, pool.number // 100)) & (share_where_present < 1e-3)
    rare &= pool.values >= len(names or ())  # a class that has a name is no slip
    return tuple(pool.values[rare].tolist()) if (~rare).sum() >= 2 else ()


def _could_number_objects(masks: Sequence[MaskFacts], values: list[int]) -> bool:
    """Nothing proves it, but each is one piece, and they are counted from 1 without a hole.

    Equally many in every mask may be organs, of which each image shows all; four or fewer are taken for that.
    """
    looked = [mask.single for mask in masks if mask.single is not None]
    counted = values == list(range(len(values)))
    many = len(values) > _FEW_ORGANS + 1 or len({mask.highest for mask in masks}) > 1
    return bool(looked) and counted and many and float(np.mean(looked)) >= 0.9


def _ignored(values: list[int], kind: Kind, masks: Sequence[MaskFacts], toml: DatasetToml) -> tuple[int, ...]:
    """The value that means "do not look", where one behaves so; or what dataset.toml says."""
    if toml.ignore_codes is not None or len(values) < 3:
        return toml.ignore_codes or ()
    if kind == "colours":
        void = VOC_COLOURS[VOC_VOID]
        return (void,) if void in values and set(values) <= set(VOC_COLOURS) else ()
    if values[0] == -1:
        return (-1,)
    top, others = values[-1], values[:-1]
    if top not in (255, 65535):
        return ()
    # Far above numbers that were counted from 0 or 1; grey levels such as 0, 128, 255 are spread evenly.
    counted = others[-1] + 1 <= 8 * len(others) and top - others[-1] > 32
    palette = _palette_of(masks).astype(np.int64)
    painted = kind == "palette" and top - others[-1] > 1 and bool((np.ptp(palette, axis=1) > 0).any())
    return (top,) if counted or painted else ()


def _in_order(values: list[int], *, colours: bool) -> list[int]:
    """The order of the classes: by value; colours as VOC numbers them if they are its colours."""
    if colours and set(values) <= set(VOC_COLOURS):
        return sorted(values, key=VOC_COLOURS.index)
    return sorted(values)


def _demanded_names(names: tuple[str, ...], values: list[int], *, colours: bool) -> tuple[str, ...]:
    if len(names) == len(values):
        return names
    spelt = [f"#{value:06x}" if colours else str(value) for value in values]
    raise MaskError(
        found=f"{DATASET_TOML}: {len(names)} class names for {len(values)} values in the masks: "
        f"{name_some(spelt, 12)}",
        expected="a name for each value",
        fix="write a table [classes] with name = value, and `ignore = [...]` for values without a class",
    )


def _mostly_edges(pool: PooledValues) -> bool:
    """Whether most values hardly ever equal their neighbours: levels of an image, not numbers of classes."""
    return len(pool.values) > 16 and float((pool.inner < 0.05 * pool.pixels).mean()) > 0.5


def _dtype(values: Iterable[int], kind: Kind, masks: Sequence[MaskFacts]) -> str:
    """The number format of written masks: that of the files, if it holds the values."""
    lowest, highest = min(values), max(values)
    if kind != "values" or (lowest >= 0 and highest < 2**8 and any(mask.dtype != "uint16" for mask in masks)):
        return "uint8"
    return "uint16" if lowest >= 0 and highest < 2**16 else "int32"


def _build_encoding(*, palette: NDArray[np.uint8] | None, **fields: object) -> MaskEncoding:
    colours = None if palette is None or not len(palette) else tuple(map(tuple, palette.tolist()))
    return build(MaskEncoding, {**fields, "palette": colours}, where=DATASET_TOML)


def _what_was_seen(number: int, values: list[int], ignore: tuple[int, ...], encoding: MaskEncoding) -> str:
    noun = {"palette": "palette indices", "colours": "colours"}.get(encoding.kind, "values")
    in_a_row = len(values) > 3 and values == list(range(values[0], values[0] + len(values)))
    shown = f"{values[0]} to {values[-1]}" if in_a_row else name_some(map(encoding.spell, values), 12)
    tail = f"; {', '.join(map(encoding.spell, ignore))} is not a class and is ignored" if ignore else ""
    return f"{count(number, 'mask')} {hold(number)} the {noun} {shown}: {len(values)} classes{tail}"
