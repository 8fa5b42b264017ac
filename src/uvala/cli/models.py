"""uvala models"""

import sys
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "models"

WIDE = 150  # columns of the whole table


def command(
    json_: Annotated[bool, typer.Option("--json", help="The whole table as JSON.")] = False,
) -> None:
    """List the networks that --model takes: what they are, what they cost, which sizes they take."""
    from uvala.models.table import list_models

    if json_:
        import json

        print(json.dumps([network.as_dict() for network in list_models()], indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    # what is not a terminal has no width to keep to
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=WIDE)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    for title in ("M weights", "G mult-adds", "field", "stride", "tiles"):
        table.add_column(title, justify="right", no_wrap=True)
    whole = console.width >= WIDE
    if whole:
        table.add_column("origin", no_wrap=True)
        table.add_column("paper", no_wrap=True)
    for network in list_models():
        table.add_row(
            network.name,
            f"{network.parameters / 1e6:.1f}",
            f"{network.multiply_adds / 1e9:.1f}",
            "image" if network.receptive_field is None else str(network.receptive_field),
            str(network.stride),
            network.tiles,
            *([network.origin, network.paper.partition(":")[2]] if whole else []),
        )
    console.print(table)
    console.print(
        "\nMultiply-adds of one image of 512x512. Field: receptive field, pixels across. Tiles: exact where "
        "large images are cut without a change in any number, after so many passes over the image where the "
        "network wants numbers of the whole of it. Behind a colon stands an encoder, any of timm's: "
        "unet:convnext_tiny. All take images of any size; --json tells where that needs a word."
        + ("" if whole else " A wider window, or --json, shows the origins and papers too."),
        markup=False,
    )
