"""uvala train"""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from uvala.cli.terminal import setting_help
from uvala.cli.training_options import (
    Device,
    Epochs,
    Folds,
    Model,
    PlanFile,
    Seed,
    Settings,
    SplitFile,
    Start,
)
from uvala.plan.recipes import recipe_names
from uvala.plan.schema import Plan

__all__ = ["NAME", "command"]

NAME = "train"


def command(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Folder (or CSV manifest) with images and masks; with --resume, the run to go on with."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder for the run; default runs/DATA-DATE.", metavar="RUN")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            help=setting_help(Plan, "length.budget")
            + " 90s, 10m, 1h30m; with --resume also +10m, so much more.",
            metavar="TIME",
        ),
    ] = None,
    epochs: Epochs = None,
    model: Model = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"Train as a well-known project does: {', '.join(recipe_names())}; see `uvala recipes`.",
            metavar="NAME",
        ),
    ] = None,
    plan: PlanFile = None,
    start: Start = None,
    folds: Folds = None,
    track: Annotated[str | None, typer.Option(help=setting_help(Plan, "tracking"), metavar="NAME")] = None,
    split: SplitFile = None,
    seed: Seed = None,
    device: Device = None,
    set_: Settings = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run: uvala train --resume RUN.")
    ] = False,
) -> None:
    """Train a network on a folder of images and masks, score it, and write its report."""
    from uvala.cli import main
    from uvala.cli.training_view import TrainingView
    from uvala.config import parse_assignment
    from uvala.training.ranks import read_place

    settings = dict(parse_assignment(text) for text in set_ or [])
    main_rank = read_place().rank == 0  # of several processes the others are silent
    with TrainingView() if main_rank else nullcontext() as view:
        from uvala.api.training import train  # torch; the view is already there

        run = train(
            data,
            out=out,
            budget=budget,
            epochs=epochs,
            model=model,
            recipe=recipe,
            plan=plan,
            start=start,
            folds=folds,
            track=track,
            split=split,
            seed=seed,
            device=device,
            settings=settings,
            resume=resume,
            listener=view,
            started=main.STARTED,
        )
    if view is None:
        return
    if run.report.is_file():  # not where folds were stopped before there were weights
        view.summary(run.path)
    if not run.card.training.finished:
        raise typer.Exit(130)
