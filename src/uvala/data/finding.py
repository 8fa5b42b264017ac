"""One thing that the mask doctor found, and how it is told."""

from typing import Literal

from pydantic import Field

from uvala.config import Config
from uvala.data.wording import count, name_some
from uvala.errors import DataError, UvalaError

__all__ = ["Finding", "Severity", "as_error", "from_error"]

Severity = Literal["error", "warning", "note"]


class Finding(Config):
    """What was found, in which files, and what to do about it."""

    kind: str = Field(description="a short name of what was found, the same in every data set")
    severity: Severity = Field(
        description="error: stops or spoils a training; warning: look; note: good to know"
    )
    found: str = Field(description="what was found, without the names of the files")
    expected: str = Field("", description="what was expected instead; may be empty")
    fix: str = Field(description="what to do")
    files: tuple[str, ...] = Field((), description="all files concerned, relative to the data set")
    groups: tuple[tuple[str, ...], ...] = Field((), description="files that belong together, such as copies")

    def __str__(self) -> str:
        named = not self.files or self.files[0] in self.found
        where = "" if named else f" ({name_some(self.files)})"
        return f"{self.found}{where}; {self.fix}"


def as_error(findings: list[Finding]) -> DataError:
    """The error that `findings`, at least one, amount to: the first one told in full, the others counted."""
    first, others = findings[0], findings[1:]
    where = f": {name_some(first.files)}" if first.files else ""
    more = f"; {count(len(others), 'more error')}, see `uvala check`" if others else ""
    return DataError(found=f"{first.found}{where}", expected=first.expected, fix=f"{first.fix}{more}")


def from_error(kind: str, error: UvalaError, files: tuple[str, ...] = ()) -> Finding:
    """An error, which elsewhere would stop the work, as a finding."""
    return Finding(
        kind=kind, severity="error", found=error.found, expected=error.expected, fix=error.fix, files=files
    )
