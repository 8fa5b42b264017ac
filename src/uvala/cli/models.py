"""uvala models"""

__all__ = ["NAME", "command"]

NAME = "models"


def command() -> None:
    """List the networks that --model takes."""
    from uvala.cli.terminal import console
    from uvala.models.catalog import list_models

    for name in list_models():
        console.print(name, markup=False)
