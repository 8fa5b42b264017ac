"""uvala compare"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "compare"


def command(
    run_a: Annotated[
        Path,
        typer.Argument(help="Run folder, or JSON file that `uvala evaluate --json` wrote.", metavar="RUN_A"),
    ],
    run_b: Annotated[Path, typer.Argument(help="Another one, scored on the same images.", metavar="RUN_B")],
    json: Annotated[
        Path | None, typer.Option(help="Write the whole comparison to this file.", metavar="FILE")
    ] = None,
) -> None:
    """Say which of two runs is better on the images that both scored, by how much, and if it is noise."""
    from uvala.cli.outputs import check_outputs
    from uvala.cli.terminal import console
    from uvala.evaluation.compare import compare, read_scores
    from uvala.evaluation.compare_text import comparison_text, distinct_names

    check_outputs(files={"--json": json})
    comparison = compare(read_scores(run_a), read_scores(run_b), distinct_names(run_a, run_b))
    console.print(comparison_text(comparison), markup=False, soft_wrap=True)
    if json is not None:
        comparison.to_json(json)
