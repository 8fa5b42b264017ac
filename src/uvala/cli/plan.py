"""uvala plan"""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from uvala.cli.outputs import check_outputs
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
from uvala.errors import StorageError
from uvala.plan.recipes import recipe_names
from uvala.plan.schema import Plan

__all__ = ["NAME", "command"]

NAME = "plan"


def command(
    data: Annotated[Path, typer.Argument(help="Folder (or CSV manifest) with images and masks.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="New file for the plan, which `uvala train DATA --plan FILE` takes.", metavar="FILE"
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(help=setting_help(Plan, "length.budget") + " 90s, 10m, 1h30m.", metavar="TIME"),
    ] = None,
    epochs: Epochs = None,
    model: Model = None,
    recipe: Annotated[
        str | None,
        typer.Option(help=f"Plan as a well-known project does: {', '.join(recipe_names())}.", metavar="NAME"),
    ] = None,
    plan: PlanFile = None,
    start: Start = None,
    folds: Folds = None,
    split: SplitFile = None,
    seed: Seed = None,
    device: Device = None,
    set_: Settings = None,
) -> None:
    """Say what would be trained and why, without training: the data, the machine, each decision."""
    from uvala.cli import main
    from uvala.cli.terminal import console, labelled
    from uvala.cli.training_view import TrainingView
    from uvala.config import parse_assignment

    settings = dict(parse_assignment(text) for text in set_ or [])
    check_outputs(files={"--out": out})
    if out is not None and out.exists():
        raise StorageError(
            found=f"--out {out}, which exists",
            expected="a new file, for that one may have been changed",
            fix="choose another --out",
        )
    with TrainingView() as view:
        from uvala.api.planning import plan_training  # torch; the view is already there

        planned = plan_training(
            data,
            budget=budget,
            epochs=epochs,
            model=model,
            recipe=recipe,
            plan=plan,
            start=start,
            folds=folds,
            split=split,
            seed=seed,
            device=device,
            settings=settings,
            listener=view,
            started=main.STARTED,
        )
    if planned.trials:
        console.print(labelled("trials", planned.trials))
    if out is not None:
        planned.write(out)
        console.print(f"written  {out}", markup=False, soft_wrap=True)
        parts = ["uvala", "train", str(data), "--plan", str(out)]
        for option, value in (("--from", start), ("--split", split)):
            parts += [] if value is None else [option, str(value)]
        console.print(f"next     {shlex.join(parts)}", markup=False, soft_wrap=True)
