"""Names for the classes that were found, from a list beside the data where it fits."""

from collections.abc import Sequence

from uvala.data.dataset_toml import DATASET_TOML
from uvala.data.voc_colours import VOC_COLOURS
from uvala.data.wording import count

__all__ = ["name_classes", "plain_names"]

_BACKGROUND = {"background", "_background_", "bg", "void", "unlabeled", "unlabelled", "none", "other"}
_NOT_A_CLASS = {"ignore", "ignored", "__ignore__", "_ignore_", "void", "unlabeled", "unlabelled"}


def name_classes(
    values: Sequence[int], names: Sequence[str] | None, *, colours: bool
) -> tuple[tuple[str, ...], str | None]:
    """A name for each value (ascending; colours packed), and a sentence where the list could not be used."""
    plain = plain_names(values, colours=colours)
    if not names:
        return plain, None
    numbers = list(values)
    if colours:
        if not set(values) <= set(VOC_COLOURS):
            return (
                plain,
                f"the {len(names)} listed names do not say which colour is which; {DATASET_TOML} can",
            )
        numbers = [VOC_COLOURS.index(value) for value in values]
    listed = _listed_names(numbers, list(names))
    if listed is None or len(set(listed)) < len(listed):
        return (
            plain,
            f"the {len(names)} listed names do not fit {count(len(values), 'value')}, so they are unused",
        )
    return tuple(listed), None


def plain_names(values: Sequence[int], *, colours: bool) -> tuple[str, ...]:
    """Names where nobody gave any."""
    if len(values) == 2:
        return ("background", "foreground")
    if colours:
        return tuple(f"colour #{value:06x}" for value in values)
    return tuple("background" if value == 0 else f"class {value}" for value in values)


def _listed_names(numbers: list[int], names: list[str]) -> list[str] | None:
    """The names of the classes with these numbers; the list may lack the background and may hold void."""
    with_background = names[0].lower() in _BACKGROUND
    without_void = [name for name in names if name.lower() not in _NOT_A_CLASS]
    if len(names) == len(numbers):
        return names
    if numbers[0] == 0 and len(names) == len(numbers) - 1 and not with_background:
        return ["background", *names]
    if len(without_void) == len(numbers):
        return without_void
    # A list of more classes than occur: by position, if it is clear what stands for 0.
    if numbers[0] < 0:
        return None
    if numbers[-1] < len(names) and (with_background or numbers[-1] == len(names) - 1):
        return [names[number] for number in numbers]
    if numbers[-1] == len(names) and not with_background:
        return [["background", *names][number] for number in numbers]
    return None
