"""What a layout answers: its samples, what it could not pair, and the evidence for its reading."""

from dataclasses import dataclass
from pathlib import Path

from uvala.data.sample import Sample

__all__ = ["Recognition", "Unpaired"]


@dataclass(frozen=True, order=True)
class Unpaired:
    """A file that belongs to no sample, and why, in words."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Recognition:
    """A folder as one layout reads it.

    layout: its name ("folders", "Pascal VOC", "stack", "CSV manifest", "case folders"). samples: by name.
    evidence: what was seen, in one sentence. class_names: from a list such as classes.txt, if there is one.
    stated: the data themselves say which mask belongs to which image; the other layouts are guesses.
    """

    layout: str
    samples: tuple[Sample, ...]
    evidence: str
    unpaired: tuple[Unpaired, ...] = ()
    class_names: tuple[str, ...] | None = None
    stated: bool = False
