"""uvala evaluate"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "evaluate"


def command(
    run: Annotated[Path, typer.Argument(help="Folder that `uvala train` wrote.")],
    data: Annotated[Path, typer.Argument(help="Folder (or CSV manifest) with images and masks.")],
    split: Annotated[
        Path | None,
        typer.Option(help="JSON file with lists of names under train, val and test.", metavar="FILE"),
    ] = None,
    subset: Annotated[str, typer.Option(help="test, val, train or all.")] = "test",
    json: Annotated[Path | None, typer.Option(help="Write all scores to this file.", metavar="FILE")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the scores of each image to this file.", metavar="FILE")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", metavar="NAME")] = "auto",
) -> None:
    """Score a run on images with masks: Dice and IoU per class and image, accuracy, confusion matrix."""
    from uvala.api.run import load_run
    from uvala.cli.terminal import console, counting
    from uvala.evaluation.scores import table, verdict, write_csv

    trained = load_run(run, device=device)
    with counting("scoring") as progress:
        scores = trained.evaluate(data, subset=subset, split=split, progress=progress)
    console.print(table(scores), markup=False, soft_wrap=True)
    for sentence in verdict(scores):
        console.print(f"warning  {sentence}", markup=False)
    if json is not None:
        scores.to_json(json)
    if csv is not None:
        write_csv(scores, csv)
