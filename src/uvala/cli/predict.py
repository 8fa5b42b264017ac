"""uvala predict"""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uvala.cli.terminal import setting_help
from uvala.prediction.wanted import Wanted

if TYPE_CHECKING:
    from uvala.prediction.engine import ImagePredictor
    from uvala.prediction.folder import Failure, Output

__all__ = ["NAME", "command"]

NAME = "predict"


def command(
    run: Annotated[Path, typer.Argument(help="Run folder, or an .onnx or .xml file of `uvala export`.")],
    inputs: Annotated[list[str], typer.Argument(help="Images: files, folders, globs.", metavar="INPUT...")],
    out: Annotated[Path, typer.Option(help="New folder for the masks.", metavar="DIR")],
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with what --out holds of an interrupted prediction."),
    ] = False,
    format: Annotated[
        str, typer.Option(help=setting_help(Wanted, "format"), metavar="NAME")
    ] = Wanted.model_fields["format"].default,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help=setting_help(Wanted, "probabilities"))
    ] = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help=setting_help(Wanted, "uncertainty"))
    ] = False,
    precision: Annotated[
        str, typer.Option(help=setting_help(Wanted, "precision"), metavar="TYPE")
    ] = Wanted.model_fields["precision"].default,
    overlay: Annotated[bool, typer.Option("--overlay", help=setting_help(Wanted, "overlays"))] = False,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            help="Also write the objects: labels, geojson (QuPath), coco, csv (measurements); several with "
            "commas.",
            metavar="KINDS",
        ),
    ] = None,
    others: Annotated[
        list[Path] | None,
        typer.Option("--with", help="Average with this run, too; may be repeated.", metavar="RUN"),
    ] = None,
    tta: Annotated[
        bool | None,
        typer.Option(
            "--tta/--no-tta",
            help="Average mirrored and turned views of an image, or look at it once; default as planned.",
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            help="What computes the network: torch, compile (torch's own compiler), onnxruntime, openvino, "
            "ncnn, tensorrt, or auto for the fastest of those installed that agrees with torch. torch-bf16 "
            "and torch-fp16 (on a GPU) compute with 16 bits: probabilities change by about a hundredth.",
            metavar="NAME",
        ),
    ] = "torch",
    memory: Annotated[
        str | None,
        typer.Option(
            help="What predicting may take besides the weights, such as 2GB: large images are cut so. Less "
            "than 1.2GB is taken as a wish.",
            metavar="AMOUNT",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", metavar="NAME")] = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="How images are cut and objects are found, if not as the model says, such as "
            "tiles.mode=blended, tiles.size=512 or objects.min_size=50; may be repeated.",
            metavar="PATH=VALUE",
        ),
    ] = None,
) -> None:
    """Predict masks, in the encoding of the masks trained on. Exit code 1 if some could not be read.

    Images of any size: large ones are read and written block by block. An interrupted prediction goes on with
    --resume.
    """
    from uvala.api.predicting import predict_paths
    from uvala.cli.outputs import check_outputs
    from uvala.cli.terminal import counting_pixels, say_error
    from uvala.config import build, parse_assignment
    from uvala.prediction.execution import parse_memory
    from uvala.prediction.objects import object_kinds

    asked = {
        "format": format,
        "probabilities": probabilities,
        "uncertainty": uncertainty,
        "precision": precision,
        "overlays": overlay,
        "objects": object_kinds(objects or []),
    }
    wanted = build(Wanted, asked, where="the options")
    ceiling = None if memory is None else parse_memory(memory)
    check_outputs(files={}, folders={"--out": out})
    adjustments = dict(parse_assignment(text) for text in settings or [])
    predictor = _predictor(run, others or [], device, tta, backend, ceiling, adjustments)
    try:
        with counting_pixels("predicting") as (progress, watch):
            outputs, failures = predict_paths(
                predictor, inputs, out, wanted, resume=resume, memory=ceiling, progress=progress, watch=watch
            )
    except KeyboardInterrupt:
        say_error(f"uvala: what is done stays in {out}; --resume goes on with it")
        raise
    _report(outputs, failures, out, predictor, with_objects=bool(wanted.objects))
    if failures:
        raise typer.Exit(1)


def _predictor(
    path: Path,
    others: list[Path],
    device: str,
    tta: bool | None,
    backend: str,
    memory: int | None,
    settings: dict[str, Any],
) -> "ImagePredictor":
    """What predicts: a run, several runs, or an exported file."""
    from uvala.api.predicting import open_exported
    from uvala.api.run import load_run
    from uvala.errors import ConfigError
    from uvala.prediction.file_kinds import names_exported

    if not names_exported(path):
        run = load_run(
            path,
            device=device,
            test_time=tta,
            backend=backend,
            memory=memory,
            others=others,
            settings=settings,
        )
        return run.predictor
    given = {
        "--with": bool(others),
        "--memory": memory is not None,
        "--backend": backend != "torch",
        "--device": device not in ("auto", "cpu"),
    }
    if any(given.values()):
        raise ConfigError(
            found=f"{', '.join(name for name in given if given[name])} for {path.name}",
            expected="the folder of a run: a file is computed alone, by its own runtime, on the CPU",
            fix="leave that out, or predict with the run",
        )
    return open_exported(path, test_time=tta, settings=settings)


def _report(
    outputs: list["Output"],
    failures: list["Failure"],
    out: Path,
    predictor: "ImagePredictor",
    *,
    with_objects: bool,
) -> None:
    """Say what was written, what was passed over, and what looks odd."""
    from uvala.cli.terminal import console, say_error

    for failure in failures:
        name = str(failure.source.path)
        page = "" if failure.source.page is None else f"#{failure.source.page}"
        where = "" if name in str(failure.error) else f"{name}{page}: "
        say_error(f"uvala: skipped: {where}{failure.error}")
    before = sum(output.resumed for output in outputs)
    already = f", {before} of them from before" if before else ""
    console.print(f"{len(outputs)} mask{'s' * (len(outputs) != 1)} in {out}{already}", markup=False)
    for note, images in Counter(note for output in outputs for note in output.notes).items():
        console.print(f"{note} ({images:,} image{'s' * (images != 1)})", markup=False)
    for why in predictor.blended:
        console.print(f"large images were cut into blended tiles, not exact ones: {why}", markup=False)
    if with_objects:
        found = sum(output.objects or 0 for output in outputs)
        console.print(f"{found} object{'s' * (found != 1)} in {out / 'objects'}", markup=False)
    alike = {output.classes for output in outputs}
    if len(outputs) > 1 and len(alike) == 1 and len(only := next(iter(alike))) == 1:
        console.print(
            f"every pixel of every image was predicted as '{predictor.card.encoding.names[only[0]]}'",
            markup=False,
        )
    if failures:
        say_error(f"uvala: {len(failures)} of {len(failures) + len(outputs)} images could not be predicted")
