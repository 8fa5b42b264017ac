"""uvala predict"""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["NAME", "command"]

NAME = "predict"


def command(
    run: Annotated[Path, typer.Argument(help="Folder that `uvala train` wrote.")],
    inputs: Annotated[list[str], typer.Argument(help="Images: files, folders, globs.", metavar="INPUT...")],
    out: Annotated[Path, typer.Option(help="New folder for the masks.", metavar="DIR")],
    probabilities: Annotated[
        bool,
        typer.Option("--probabilities", help="Also write probabilities, a float TIFF with a page per class."),
    ] = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write the classes in colour over the image.")
    ] = False,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            help="Also write the objects: labels, geojson (QuPath), coco, csv (measurements); several with "
            "commas.",
            metavar="KINDS",
        ),
    ] = None,
    tta: Annotated[
        bool | None,
        typer.Option(
            "--tta/--no-tta",
            help="Average mirrored and turned views of an image, or look at it once; default as planned.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", metavar="NAME")] = "auto",
) -> None:
    """Predict masks, in the encoding of the masks trained on. Exit code 1 if some could not be read."""
    from uvala.api.run import load_run
    from uvala.cli.terminal import console, counting, say_error
    from uvala.prediction.objects import object_kinds

    kinds = object_kinds(objects or [])
    trained = load_run(run, device=device, test_time=tta)
    with counting("predicting") as progress:
        outputs, failures = trained.predict_files(
            inputs, out, probabilities=probabilities, overlays=overlay, objects=kinds, progress=progress
        )
    for failure in failures:
        name = str(failure.source.path)
        page = "" if failure.source.page is None else f"#{failure.source.page}"
        where = "" if name in str(failure.error) else f"{name}{page}: "
        say_error(f"uvala: skipped: {where}{failure.error}")
    console.print(f"{len(outputs)} mask{'s' * (len(outputs) != 1)} in {out}", markup=False)
    if kinds:
        found = sum(output.objects or 0 for output in outputs)
        console.print(f"{found} object{'s' * (found != 1)} in {out / 'objects'}", markup=False)
    alike = {output.classes for output in outputs}
    if len(outputs) > 1 and len(alike) == 1 and len(only := next(iter(alike))) == 1:
        console.print(
            f"every pixel of every image was predicted as '{trained.card.encoding.names[only[0]]}'",
            markup=False,
        )
    if failures:
        say_error(f"uvala: {len(failures)} of {len(failures) + len(outputs)} images could not be predicted")
        raise typer.Exit(1)
