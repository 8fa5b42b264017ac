"""`dataset.toml` beside the data: what its owner knows better than any look at the files.

task = "instances"                       # or "classes": what the numbers in the masks are
ignore = [255]                           # mask values that are neither learnt nor scored
channels = 1                             # grey pictures that some program saved as RGB
groups = '(patient\\d+)_'                 # or a table [groups] with "a.png" = "patient1"

[classes]                                # name = value, several values, or a colour
background = 0
nucleus = [1, 255]
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from uvala.config import Config, build, read_toml
from uvala.data.masks import ClassEntry

__all__ = ["DATASET_TOML", "DatasetToml", "read_dataset_toml"]

DATASET_TOML = "dataset.toml"

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

Value = int | str
"""A mask value, or a colour as "#804000"."""


class DatasetToml(Config):
    """What a data set's owner has written down; each field overrides what would be found by looking."""

    classes: dict[str, Value | list[Value]] | list[str] | None = Field(
        None,
        description="a table name = value, [values] or colour such as '#804000'; or only the names, "
        "in ascending order of their values",
    )
    ignore: list[Value] | None = Field(
        None, description="mask values or colours that are neither learnt nor scored; [] for none"
    )
    task: Literal["classes", "instances"] | None = Field(
        None, description="what the numbers in the masks are: classes, or objects counted from 1"
    )
    snap: bool | None = Field(
        None, description="take mask values between those of the classes as the nearest one (JPEG, smoothed)"
    )
    channels: Literal[1, 3] | None = Field(None, description="convert every image to grey (1) or to RGB (3)")
    groups: str | dict[str, str] | None = Field(
        None,
        description="a regular expression whose first bracket is the group within a sample's name, "
        "or a table name = group; a group is never divided between training and validation",
    )

    # Before pydantic looks: of a union of types it would report every member that did not fit.
    @field_validator("classes", mode="before")
    @classmethod
    def _name_values(cls, classes: Any) -> Any:
        if classes is None:
            return None
        if not isinstance(classes, dict | list) or len(classes) < 2:
            raise ValueError("write a table of at least two classes, name = value (the background is one)")
        if isinstance(classes, list):
            if not all(isinstance(name, str) for name in classes):
                raise ValueError("a list must hold names only; use a table [classes] with name = value")
            return classes
        values = [value for several in classes.values() for value in _as_list(several)]
        if any(several == [] for several in classes.values()):
            raise ValueError("each class needs a value")
        _check_values(values)
        return classes

    @field_validator("ignore", mode="before")
    @classmethod
    def _list_values(cls, ignore: Any) -> Any:
        if ignore is None:
            return None
        _check_values(_as_list(ignore))
        return _as_list(ignore)

    @field_validator("groups", mode="before")
    @classmethod
    def _name_groups(cls, groups: Any) -> Any:
        if isinstance(groups, str):
            try:
                re.compile(groups)
            except re.error as error:
                raise ValueError(f"this is no regular expression: {error}") from None
        elif isinstance(groups, dict):
            return {name: str(group) for name, group in groups.items()}
        elif groups is not None:
            raise ValueError("write a regular expression, or a table name = group")
        return groups

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names, where only names are given."""
        return tuple(self.classes) if isinstance(self.classes, list) else None

    @property
    def class_entries(self) -> tuple[ClassEntry, ...] | None:
        """The classes with their values, where these are given."""
        if not isinstance(self.classes, dict):
            return None
        return tuple(
            ClassEntry(name=name, values=tuple(_code(value) for value in _as_list(values)))
            for name, values in self.classes.items()
        )

    @property
    def ignore_codes(self) -> tuple[int, ...] | None:
        """`ignore` as integers, colours packed; None where nothing is said."""
        return None if self.ignore is None else tuple(_code(value) for value in self.ignore)

    @property
    def colours(self) -> bool:
        """Whether the classes are given as colours."""
        return any(isinstance(value, str) for value in self._class_values())

    def group_of(self, name: str) -> str | None:
        """The group that this file gives to the sample `name`; None if it says nothing about it."""
        if isinstance(self.groups, str):
            match = re.search(self.groups, name)
            return None if match is None else match[1] if match.re.groups else match[0]
        table: Mapping[str, str] = self.groups or {}
        return table.get(name, table.get(Path(name).stem))

    def _class_values(self) -> list[Value]:
        if not isinstance(self.classes, dict):
            return []
        return [value for values in self.classes.values() for value in _as_list(values)]


def read_dataset_toml(data: Path) -> DatasetToml:
    """The `dataset.toml` of a data set, or an empty one. ConfigError on unknown keys or impossible values."""
    path = (data if data.is_dir() else data.parent) / DATASET_TOML
    if not path.is_file():
        return DatasetToml()
    return build(DatasetToml, read_toml(path), where=str(path))


def _as_list(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _code(value: Value) -> int:
    return int(value.removeprefix("#"), 16) if isinstance(value, str) else value


def _check_values(values: Sequence[Any]) -> None:
    """ValueError unless `values` are all integers or all colours."""
    for value in values:
        if isinstance(value, str) and not _COLOUR.fullmatch(value):
            raise ValueError(f"'{value}' is no colour; write it as '#804000'")
        if not isinstance(value, int | str) or isinstance(value, bool):
            raise ValueError(f"{value!r} is no mask value; write a whole number, or a colour as '#804000'")
    if len({isinstance(value, str) for value in values}) > 1:
        raise ValueError("write all values as numbers, or all as colours such as '#804000'")
