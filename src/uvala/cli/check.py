"""uvala check"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "check"
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def command(
    data: Annotated[Path, typer.Argument(help="Folder (or CSV manifest) with images and masks.")],
    json: Annotated[
        bool, typer.Option("--json", help="Print everything, all file names included, as JSON.")
    ] = False,
) -> None:
    """Say what is wrong with images and masks, and how to mend it. Exit code 1 if there are errors."""
    from json import dumps

    from rich.text import Text

    from uvala.cli.terminal import console, counting, encoding_table
    from uvala.data.check import check
    from uvala.data.wording import count

    with counting("checking") as progress:
        report = check(data, progress)
    if json:
        print(dumps(report.to_json(), indent=1, ensure_ascii=False))
    else:
        for sentence in report.evidence:
            console.print(Text(sentence))
        if report.table:
            rows = [(row.value, row.class_name, row.share, row.images) for row in report.table]
            console.print(encoding_table(rows))
        for finding in report.findings:
            console.print(Text.assemble((f"{finding.severity:8} ", _COLOURS[finding.severity]), str(finding)))
        counts = [
            count(report.samples, "pair"),
            count(len(report.errors), "error"),
            count(len(report.warnings), "warning"),
        ]
        console.print(f"{', '.join(counts)}, {report.seconds:.1f} s", markup=False)
    if report.errors:
        raise typer.Exit(1)
