"""The options that `uvala train` and `uvala plan` share; each is left out unless it is given."""

from pathlib import Path
from typing import Annotated

import typer

from uvala.cli.terminal import setting_help
from uvala.plan.schema import Plan

__all__ = ["Device", "Epochs", "Folds", "Model", "PlanFile", "Seed", "Settings", "SplitFile", "Start"]

Epochs = Annotated[float | None, typer.Option(help=setting_help(Plan, "length.epochs"), metavar="N")]
Model = Annotated[str | None, typer.Option(help=setting_help(Plan, "model.name"), metavar="NAME")]
PlanFile = Annotated[
    Path | None,
    typer.Option(help="Settings of a TOML file, such as the plan.toml of a run.", metavar="FILE"),
]
Start = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="Begin from the weights of a run folder, or of another project's checkpoint.",
        metavar="RUN|FILE",
    ),
]
Folds = Annotated[int | None, typer.Option(help=setting_help(Plan, "folds"), metavar="K")]
SplitFile = Annotated[
    Path | None,
    typer.Option(help="JSON file with lists of names under train, val and test.", metavar="FILE"),
]
Seed = Annotated[int | None, typer.Option(help=setting_help(Plan, "seed"), metavar="S")]
Device = Annotated[str | None, typer.Option(help=setting_help(Plan, "device"), metavar="NAME")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting of the plan; may be repeated.", metavar="PATH=VALUE"),
]
