"""uvala recipes"""

from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "recipes"


def command(
    name: Annotated[
        str | None, typer.Argument(help="Print this one, as a plan file.", metavar="[NAME]")
    ] = None,
) -> None:
    """List the recipes that `uvala train --recipe` takes, or print one, to be changed and given to --plan."""
    from uvala.plan.recipes import read_recipe, recipe_names, recipe_text

    if name is not None:
        print(recipe_text(name), end="")
        return
    width = max(map(len, recipe_names()))
    for each in recipe_names():
        print(f"{each:<{width}}  {read_recipe(each).title}")
