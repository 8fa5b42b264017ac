"""One sample: where its image and its mask lie, and what is known about it before either is opened."""

from dataclasses import dataclass

from uvala.images.read import Source

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """An image and its mask.

    name: unique within the data set, as its user would write it: the image's path without the folder that all
    images share ("00.png", "tray2/a.png"), with "#3" for page 3 of a stack (pages count from 0).
    mask: None without one; several sources where each holds one object.
    group: samples of one group (patient, slide, stack) are never split. split: "train", "val" or "test" where
    the data says so.
    """

    name: str
    image: Source
    mask: Source | tuple[Source, ...] | None
    group: str | None = None
    split: str | None = None
