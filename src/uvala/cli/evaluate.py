"""uvala evaluate"""

from pathlib import Path
from typing import Annotated

import typer

from uvala.cli.terminal import setting_help
from uvala.evaluation.config import EvaluationConfig

__all__ = ["NAME", "command"]

NAME = "evaluate"


def command(
    run: Annotated[
        Path,
        typer.Argument(help="Run folder, or a folder of masks that any tool predicted."),
    ],
    data: Annotated[Path, typer.Argument(help="Folder (or CSV manifest) with images and masks.")],
    split: Annotated[
        Path | None,
        typer.Option(help="JSON file with lists of names under train, val and test.", metavar="FILE"),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(help="test, val, train or all; default test, or all of masks without a split."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help=setting_help(EvaluationConfig, "task"), metavar="TASK")
    ] = None,
    region: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the field of view of each image: pixels that are 0 do not count.", metavar="DIR"
        ),
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(help=setting_help(EvaluationConfig, "spacing"), metavar="SIZE")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help=setting_help(EvaluationConfig, "unit"), metavar="UNIT")
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help=setting_help(EvaluationConfig, "tolerance"), metavar="DISTANCE")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for scores.json, scores.csv and report.html; default RUN/evaluations/DATA-SUBSET, "
            "or -2, -3 ... where that holds an evaluation of something else; none for a folder of masks.",
            metavar="DIR",
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write all scores to this file, too.", metavar="FILE")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write the scores of each image to this file, too.", metavar="FILE")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", metavar="NAME")] = "auto",
) -> None:
    """Score a run, or masks of any tool, on images with masks: what fits the task first, then all else."""
    from uvala.api.masks import evaluate_path
    from uvala.api.scoring import evaluation_settings
    from uvala.cli.outputs import check_outputs
    from uvala.cli.terminal import console, counting
    from uvala.evaluation.tables import table, write_csv
    from uvala.evaluation.verdict import verdict

    settings = evaluation_settings(task=task, spacing=spacing, unit=unit, tolerance=tolerance)
    check_outputs(files={"--json": json, "--csv": csv}, folders={"--out": out})
    _check_scorable(run)
    with counting("scoring") as progress:
        evaluation = evaluate_path(
            run,
            data,
            subset=subset,
            split=split,
            region=region,
            settings=settings,
            device=device,
            progress=progress,
        )
    console.print(table(evaluation.scores), markup=False, soft_wrap=True)
    for sentence in verdict(evaluation.scores):
        console.print(f"warning  {sentence}", markup=False)
    if json is not None:
        evaluation.scores.to_json(json)
    if csv is not None:
        write_csv(evaluation.scores, csv)
    folder = out or evaluation.default_folder
    if folder is not None:
        names = ", ".join(file.name for file in evaluation.write(folder))
        console.print(f"written  {names} in {folder}", markup=False, soft_wrap=True)


def _check_scorable(path: Path) -> None:
    """RunError for a folder that is there and is neither a run nor masks: both are possible, so say so."""
    from uvala.api.paired import holds_masks
    from uvala.errors import RunError

    runs = any(path.glob("card.json")) or any(path.glob("*/card.json"))
    if path.is_dir() and not runs and not holds_masks(path):
        filled = any(path.iterdir())
        raise RunError(
            found=f"{path}, which {'holds neither a run nor masks alone' if filled else 'is empty'}",
            expected="a run folder, made by `uvala train`, or a folder of predicted masks named "
            "like the images",
            fix="give the folder that --out of `uvala train` or `uvala predict` named, or that of your masks",
        )
