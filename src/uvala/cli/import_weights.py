"""uvala import-weights"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "import-weights"


def command(
    file: Annotated[Path, typer.Argument(help="Checkpoint: .pth, .pt, .ckpt or .safetensors.")],
    out: Annotated[Path, typer.Option(help="New folder for the run.", metavar="DIR")],
    origin: Annotated[
        str,
        typer.Option(
            "--from", help="Project that the checkpoint is from; auto: by its keys.", metavar="ORIGIN"
        ),
    ] = "auto",
    classes: Annotated[
        str | None, typer.Option(help="Names of the classes, the background's first.", metavar="A,B,...")
    ] = None,
    white: Annotated[
        float | None,
        typer.Option(
            help="Intensity that the project's own code turned into 1; default that of 8-bit images.",
            metavar="N",
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(help="Mean that it then subtracted; default the project's.", metavar="N[,N...]"),
    ] = None,
    std: Annotated[str | None, typer.Option(help="Deviation that it divided by.", metavar="N[,N...]")] = None,
    hint: Annotated[
        list[str] | None,
        typer.Option("--hint", help="What the keys cannot tell; may be repeated.", metavar="OPTION=VALUE"),
    ] = None,
) -> None:
    """Make a run folder of another project's checkpoint, for `uvala predict` and all that follows."""
    from uvala.api.importing import WHITE, import_weights
    from uvala.cli.terminal import console
    from uvala.config import parse_assignment

    hints = dict(parse_assignment(text) for text in hint or [])
    names = [name.strip() for name in classes.split(",")] if classes else []
    run, match = import_weights(
        file,
        out,
        origin=origin,
        hints=hints,
        classes=names,
        white=WHITE if white is None else white,
        mean=_numbers(mean),
        std=_numbers(std),
    )
    network = run.card.network
    console.print(
        f"{match.origin}: {match.form.title} -> {network.name}, {network.in_channels} "
        f"channel{'s' * (network.in_channels != 1)}, "
        f"{network.num_classes} classes, {network.parameters / 1e6:.1f} M parameters",
        markup=False,
    )
    for note in run.card.data.notes[1:]:
        console.print(note, markup=False)
    console.print(f"run: {run.path}", markup=False)


def _numbers(text: str | None) -> tuple[float, ...]:
    from uvala.errors import ConfigError

    try:
        return tuple(float(number) for number in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(
            found=f"'{text}'", expected="numbers with commas between them", fix="such as 0.485,0.456,0.406"
        ) from None
