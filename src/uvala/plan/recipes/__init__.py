"""Recipes: how well-known projects train, as plan files in this folder, with the source of each value.

A recipe is a plan file of some settings; the planner chooses the others. Its first line is its title, and a
comment above a setting is that setting's reason.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uvala.config import flat, read_toml
from uvala.errors import UnknownNameError, did_you_mean

__all__ = ["Recipe", "read_recipe", "recipe_names", "recipe_text"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """Settings by dotted path, and the reasons that the file gives for some of them."""

    name: str
    title: str
    values: dict[str, Any]
    reasons: dict[str, str]


def recipe_names() -> list[str]:
    """The names that `uvala train --recipe` takes."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def recipe_text(name: str) -> str:
    """The plan file of a recipe; UnknownNameError, with the nearest name, if there is none."""
    if name not in recipe_names():
        raise UnknownNameError(
            found=f"recipe '{name}'",
            expected="the name of a recipe that uvala has",
            fix=did_you_mean(name, recipe_names()),
        )
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def read_recipe(name: str) -> Recipe:
    """A recipe by name; UnknownNameError, with the nearest name, if there is none."""
    text = recipe_text(name)
    title = text.splitlines()[0].lstrip("# ")
    return Recipe(name, title, flat(read_toml(_FOLDER / f"{name}.toml")), dict(_reasons(text)))


def _reasons(text: str) -> Iterator[tuple[str, str]]:
    """(dotted path, comment above it) of each setting; settings below each other share a comment."""
    table, comment, above = "", "", ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#"):
            comment = f"{comment} {line.lstrip('# ')}".strip() if above.startswith("#") else line.lstrip("# ")
        elif line.startswith("["):
            table = line.strip("[] ") + "."
        elif "=" in line and comment:
            yield table + line.partition("=")[0].strip(), comment
        elif not line:
            comment = ""
        above = line
