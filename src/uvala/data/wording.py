"""How counts and lists of files are put into words."""

from collections.abc import Iterable

__all__ = ["count", "hold", "name_some", "size"]


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 mask", "2 masks", "10,000 masks"; `plural` where an s is not enough."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def hold(number: int) -> str:
    """ "hold", or "holds" after a count of one."""
    return "holds" if number == 1 else "hold"


def name_some(names: Iterable[object], most: int = 5) -> str:
    """The first `most` names, and how many more there are: "a.png, b.png and 7 more"."""
    every = [str(name) for name in names]
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def size(number: int) -> str:
    """A number of bytes as "3.4 GB", "120 MB", "11 KB"; powers of 1024."""
    if number >= 2**30:
        return f"{number / 2**30:.1f} GB"
    return f"{number / 2**20:.0f} MB" if number >= 2**20 else f"{number / 2**10:.0f} KB"
