"""uvala cache"""

from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "cache"


def command(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove them all; trainings that use them go on.")
    ] = False,
) -> None:
    """Say where decoded images are kept for the next training and how much room they take, or remove them."""
    from uvala.data.cache import users_cache
    from uvala.data.wording import count, size

    cache = users_cache()
    contents = f"{count(cache.entries, 'decoded image')}, {size(cache.size_in_bytes)}"
    if clear:
        cache.clear()
    print(f"{cache.folder}: {contents}{' removed' if clear else ''}")
