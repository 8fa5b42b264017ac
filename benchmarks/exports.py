"""Exported files: how large they are, how fast, and how near to PyTorch.

    python benchmarks/exports.py [NETWORK ...] [--to KIND ...] [--data DATA] [--budget 2m] [--int8]
                                 [--folder FOLDER]

NETWORK: pytorch_unet:WIDTH, or another name of `uvala models`. Each is trained: without --data for some steps
on drawn discs, which is enough to compare numbers; with --data for --budget, by the plan of its own, which is
what 8 bits have to be judged on. Then `uvala export` writes it as each kind, and as it compares the file with
PyTorch anyway, the table is made of the JSON beside the file. Times are of one image of 512x512 (of images
that are larger, theirs), the fastest of three in turn.

--int8: ONNX and OpenVINO with 8 bits, too, with the Dice that they cost on the validation images. A file that
is refused says so. --folder keeps runs and files; a run that is there is not trained again.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from large_images import write_discs

import uvala
from uvala.api.exporting import export
from uvala.errors import BackendError
from uvala.prediction.file_kinds import SUFFIXES

NETWORKS = ("pytorch_unet:32", "unet", "unet:resnet34")
EIGHT_BITS = ("onnx", "openvino")
SHORT = {"patches.size": 64, "patches.batch": 2, "validation.rounds": 1, "length.steps": 10}
MEGAPIXELS = 512 * 512 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--to", nargs="*", default=tuple(SUFFIXES), choices=tuple(SUFFIXES))
    parser.add_argument("--data", type=Path, help="a data set; default drawn discs")
    parser.add_argument("--budget", default="2m", help="of each training on --data")
    parser.add_argument("--int8", action="store_true", help="8 bits, too")
    parser.add_argument("--folder", type=Path, help="where runs and files are kept; default temporary")
    arguments = parser.parse_args()
    print(
        "| network | file | MB | PyTorch, s | file, s | ratio | difference | classes alike | Dice, 8 bits |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for network in arguments.networks:
            run = trained(network, folder, arguments)
            for to in arguments.to:
                print(row(network, run, to, int8=False), flush=True)
                if arguments.int8 and to in EIGHT_BITS:
                    print(row(network, run, to, int8=True), flush=True)


def trained(network: str, folder: Path, arguments: argparse.Namespace) -> Path:
    """The run of a network."""
    run = folder / network.replace(":", "-")
    if (run / "model.safetensors").exists():
        return run
    name, _, width = network.partition(":") if network.startswith("pytorch_unet") else (network, "", "")
    options = {"model.options.width": int(width)} if width else {}
    if arguments.data:
        settings, budget, data = options, arguments.budget, arguments.data
    else:
        data = folder / "discs"
        settings, budget = SHORT | options, None
        if not data.exists():
            write_discs(data)
    uvala.train(data, out=run, model=name, device="cpu", budget=budget, settings=settings)
    return run


def row(network: str, run: Path, to: str, *, int8: bool) -> str:
    """A line of the table."""
    kind = f"{to}, 8 bits" if int8 else to
    file = run.with_name(f"{run.name}{'-int8' * int8}{SUFFIXES[to]}")
    report = file.with_name(f"{file.name}.json")
    if not report.exists():
        try:
            export(run, file, to=to, int8=int8)
        except BackendError as error:
            return f"| {network} | {kind} | refused: {error.found} | | | | | | |"
    found = json.loads(report.read_text())
    seconds = {name: each * MEGAPIXELS for name, each in found["seconds_per_megapixel"].items()}
    return (
        f"| {network} | {kind} | {found['bytes'] / 1e6:.1f} | {seconds['pytorch']:.3f} "
        f"| {seconds['file']:.3f} | {seconds['file'] / seconds['pytorch']:.2f} "
        f"| {found['largest_difference']:.1e} | {found['class_agreement']:.4%} | {dice(found)} |"
    )


def dice(found: dict[str, Any]) -> str:
    if "validation_dice" not in found:
        return ""
    scores = found["validation_dice"]
    return f"{scores['file']:.4f}, PyTorch {scores['pytorch']:.4f} ({scores['images']} images)"


if __name__ == "__main__":
    main()
