"""uvala train"""

from pathlib import Path
from typing import Annotated

import typer

from uvala.cli.terminal import setting_help
from uvala.plan.schema import Plan

__all__ = ["NAME", "command"]

NAME = "train"


def command(
    data: Annotated[Path, typer.Argument(help="Folder (or CSV manifest) with images and masks.")],
    out: Annotated[
        Path | None, typer.Option(help="New folder for the run; default runs/DATA-DATE.", metavar="RUN")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help=setting_help(Plan, "length.budget") + " 90s, 10m, 1h30m.", metavar="TIME"),
    ] = None,
    epochs: Annotated[
        float | None, typer.Option(help=setting_help(Plan, "length.epochs"), metavar="N")
    ] = None,
    model: Annotated[str | None, typer.Option(help=setting_help(Plan, "model.name"), metavar="NAME")] = None,
    split: Annotated[
        Path | None,
        typer.Option(help="JSON file with lists of names under train, val and test.", metavar="FILE"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help=setting_help(Plan, "seed"), metavar="S")] = None,
    device: Annotated[str | None, typer.Option(help=setting_help(Plan, "device"), metavar="NAME")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of the plan; may be repeated.", metavar="PATH=VALUE"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a network on a folder of images and masks, score it, and write its report."""
    from uvala.cli import main
    from uvala.cli.training_view import TrainingView
    from uvala.config import parse_assignment

    settings = dict(parse_assignment(text) for text in set_ or [])
    with TrainingView() as view:
        from uvala.api.training import train  # torch; the view is already there

        run = train(
            data,
            out=out,
            budget=budget,
            epochs=epochs,
            model=model,
            split=split,
            seed=seed,
            device=device,
            settings=settings,
            resume=resume,
            listener=view,
            started=main.STARTED,
        )
    view.summary(run.path)
    if not run.card.training.finished:
        raise typer.Exit(130)
