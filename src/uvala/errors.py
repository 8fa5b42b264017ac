"""What uvala raises.

UvalaError                  something a user can mend: what was found, what was expected, what to do
├── ConfigError             an option, a plan or a TOML file
│   ├── UnknownNameError    a name that nothing is registered under; says the nearest
│   └── BudgetError         a time budget that cannot be kept
├── DataError               a data set as a whole
│   ├── LayoutError         a folder in which no images and masks can be recognised
│   ├── MaskError           masks whose encoding is impossible or contradictory
│   └── SplitError          a split that does not fit the data
├── ImageError              one file that cannot be read as an image
├── ShapeError              an array or tensor of the wrong shape or type
├── RunError                a folder that is not a usable run
├── RankError               a training by several processes that has lost one of them
├── WeightsError            a checkpoint that does not fit a network that uvala knows
├── BackendError            a runtime that is not installed, or that cannot compute a network
│   └── UnsuitableError     a network that the runtime will not be able to compute tomorrow either
└── StorageError            no space, no permission, a folder that is taken
"""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "BackendError",
    "BudgetError",
    "ConfigError",
    "DataError",
    "ImageError",
    "LayoutError",
    "MaskError",
    "RankError",
    "RunError",
    "ShapeError",
    "SplitError",
    "StorageError",
    "UnknownNameError",
    "UnsuitableError",
    "UvalaError",
    "WeightsError",
    "did_you_mean",
]


_MOST_NAMES = 10  # in a message; a longer list is not read


class UvalaError(Exception):
    """Something a user can mend. Its message is three parts: what was found and where, expected, fix."""

    def __init__(self, *, found: str, expected: str, fix: str) -> None:
        super().__init__(found, expected, fix)
        self.found = found
        self.expected = expected
        self.fix = fix

    def __str__(self) -> str:
        return f"found {self.found}; expected {self.expected}; {self.fix}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.found, self.expected, self.fix))


class ConfigError(UvalaError):
    """An option, a plan or a TOML file that cannot be used."""


class UnknownNameError(ConfigError):
    """A name that nothing is registered under."""


class BudgetError(ConfigError):
    """A time budget that cannot be kept."""


class DataError(UvalaError):
    """A data set that cannot be used as a whole."""


class LayoutError(DataError):
    """A folder in which no images and masks can be recognised."""


class MaskError(DataError):
    """Masks whose encoding is impossible or contradictory."""


class SplitError(DataError):
    """A split that does not fit the data."""


class ImageError(UvalaError):
    """One file that cannot be read as an image."""


class ShapeError(UvalaError):
    """An array or tensor of the wrong shape, type or range."""


class RunError(UvalaError):
    """A folder that is not a usable run."""


class RankError(UvalaError):
    """A training by several processes that has lost one of them, or never found it."""


class WeightsError(UvalaError):
    """A checkpoint of another project that does not fit a network that uvala knows."""


class BackendError(UvalaError):
    """A runtime that is not installed, or that cannot compute a network as PyTorch does."""


class UnsuitableError(BackendError):
    """A network that a runtime cannot compute as PyTorch does, now or another time."""


class StorageError(UvalaError):
    """No space, no permission, or a folder that is already taken."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of `known` as a half-sentence, or all of them if none is near."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'?"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"choose one of {', '.join(names[:_MOST_NAMES])}{more}"


def _rebuild(kind: type[UvalaError], found: str, expected: str, fix: str) -> UvalaError:
    """Let an error cross a process border: keyword-only constructors do not pickle by themselves."""
    return kind(found=found, expected=expected, fix=fix)
