"""How far tiled logits are from those of the whole image: every network, random sizes, several tiles.

    python benchmarks/exact_tiles.py [NETWORK ...] [--sizes 10] [--tiles 64 128 256] [--full]
                                     [--seconds N] [--folder FOLDER] [--part 1/2]
    python benchmarks/exact_tiles.py --double [NETWORK ...] [--sizes 10]
    python benchmarks/exact_tiles.py --blended [NETWORK ...] [--window-side 256]

Networks have few channels (--full: all they have by default) and random weights, batch norms with random
statistics; images are noise on a ramp. Sides lie around what two tiles with their context read, so that most
images are cut; "cut" counts those that were. Reported is the largest difference of a logit, in standard
deviations of the whole image's logits (nan if a logit is no number), and how many pixels change their class.
Networks of which no tile is exact say "blended", with the difference that this makes.

--folder keeps a JSON per network; what it holds already, with the same options, is not measured again. So
several processes with a thread each can share the work, each with a --part of the names and all with one
folder, and the same command without --part then prints the table of all. --seconds: after these a network's
images of one more size are not begun.

--double: the same network in double precision is the truth, from which float32 tiles and the float32 image
in one piece are both some way off.

--blended compares ways to blend on the same weights: ours, with the settings of other projects, and MONAI's
own sliding window where it is installed.
"""

import argparse
import copy
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uvala.arrays import Size
from uvala.models.catalog import create_model, model_config, model_facts, model_names
from uvala.models.facts import NetworkFacts, measure
from uvala.tiling.config import TileConfig
from uvala.tiling.geometry import plan_tiles
from uvala.tiling.logits import predict_logits
from uvala.tiling.run import predict_probabilities
from uvala.tiling.seams import SeamError, difference
from uvala.tiling.use import TiledUse


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--sizes", type=int, default=10, help="random sizes of each network and tile")
    parser.add_argument("--tiles", type=int, nargs="*", default=[64, 128, 256])
    parser.add_argument("--full", action="store_true", help="as many channels as by default")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of each network, about")
    parser.add_argument("--folder", type=Path, help="where each network's result is kept")
    parser.add_argument("--part", default="1/1", metavar="N/COUNT", help="only every COUNT-th network")
    parser.add_argument("--double", action="store_true", help="compare with double precision instead")
    parser.add_argument("--blended", action="store_true", help="compare ways to blend instead")
    parser.add_argument(
        "--window-side", type=int, default=256, help="what a blended tile reads, pixels a side"
    )
    arguments = parser.parse_args()
    if arguments.blended:
        blended_table(arguments)
    elif arguments.double:
        double_table(arguments)
    else:
        exact_table(arguments)


def exact_table(arguments: argparse.Namespace) -> None:
    print("| network | tiles | context | passes | images | cut | largest, deviations | other class | s |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    part, count = (int(number) for number in arguments.part.split("/"))
    for name in (arguments.networks or model_names())[part - 1 :: count]:
        print(row(known_or_measured(name, arguments)), flush=True)


def known_or_measured(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What was found of a network, kept where there is a folder for it."""
    asked = {key: getattr(arguments, key) for key in ("sizes", "tiles", "full")}
    file = arguments.folder and arguments.folder / f"{name.replace(':', '-')}.json"
    if file and file.exists():
        found = json.loads(file.read_text())
        if found["asked"] == asked:
            return found
    found = {"network": name, "asked": asked, **exactness(name, arguments)}
    if file:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
    return found


def exactness(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """How far tiles are from the whole: of random sizes, each with another tile in turn."""
    began, model = time.perf_counter(), network(name, full=arguments.full)
    facts, chosen = measure(model, 1), random.Random(0)
    apart: list[SeamError] = []
    cut = changed = 0
    for _ in range(arguments.sizes):
        if apart and time.perf_counter() - began > arguments.seconds:
            break
        for tile in arguments.tiles:
            size = around_two_tiles(chosen, tile, facts)
            image = noise(*size)
            apart.append(difference(in_tiles(model, image, facts, tile), predict_logits(model, image)))
            changed += round(apart[-1].changed * size.height * size.width)
            cut += len(plan_tiles(size, tile, context(facts), facts.multiple)) > 1
    return {
        "halo": facts.halo,
        "statistics": facts.statistics,
        "images": len(apart),
        "cut": cut,
        "largest": largest(apart),
        "changed": changed,
        "seconds": time.perf_counter() - began,
    }


def double_table(arguments: argparse.Namespace) -> None:
    print("| network | tiles - whole | whole - truth | tiles - truth |")
    print("|---|--:|--:|--:|")
    for name in arguments.networks or model_names():
        model = network(name, full=arguments.full)
        double, facts, chosen = copy.deepcopy(model).double(), measure(model, 1), random.Random(0)
        apart = []
        for tile in arguments.tiles * arguments.sizes:
            image = noise(*around_two_tiles(chosen, tile, facts))
            whole, truth = predict_logits(model, image), predict_logits(double, image.double())
            tiles = in_tiles(model, image, facts, tile)
            pairs = (tiles, whole), (whole, truth), (tiles, truth)
            apart.append([difference(*pair).largest for pair in pairs])
        print(f"| {name} | " + " | ".join(f"{max(each):.1e}" for each in zip(*apart, strict=True)) + " |")


def row(found: dict[str, Any]) -> str:
    kind, halo = ("blended", "") if found["halo"] is None else ("exact", found["halo"])
    return (
        f"| {found['network']} | {kind} | {halo} | {found['statistics']} | {found['images']} "
        f"| {found['cut']} | {found['largest']:.1e} | {found['changed']} | {found['seconds']:.0f} |"
    )


def in_tiles(model: nn.Module, image: Tensor, facts: NetworkFacts, tile: int) -> Tensor:
    """As `predict_logits` with a tile, which would find out the facts again for each image."""
    return tiled(model, image, facts, TileConfig(size=tile, whole_below=0, statistics=10**6))


def tiled(model: nn.Module, image: Tensor, facts: NetworkFacts, tiles: TileConfig) -> Tensor:
    use = TiledUse(
        model,
        device=torch.device("cpu"),
        halo=facts.halo,
        multiple=facts.multiple,
        tiles=tiles,
        activate=lambda logits: logits,
    )
    return predict_probabilities(use, image)


def around_two_tiles(chosen: random.Random, tile: int, facts: NetworkFacts) -> Size:
    """A size whose sides are one to one and a half times what a tile reads."""
    side = tile + 2 * context(facts)
    return Size(*(chosen.randint(side, side * 3 // 2) for _ in range(2)))


def context(facts: NetworkFacts) -> int:
    return TileConfig().overlap // 2 if facts.halo is None else facts.halo


def largest(apart: list[SeamError]) -> float:
    """Of all; nan if any is, which `max` alone would hide."""
    return float(torch.tensor([each.largest for each in apart]).max())


def blended_table(arguments: argparse.Namespace) -> None:
    side = arguments.window_side
    print(f"Windows of {side} x {side} pixels, an image of {2 * side + 57} x {3 * side - 31}.\n")
    print("| network | way | largest, deviations | mean | other class | s |")
    print("|---|---|--:|--:|--:|--:|")
    for name in arguments.networks or ["unet", "pytorch_unet", "plain_conv_unet", "unet:resnet34"]:
        model, image = network(name, full=arguments.full), noise(2 * side + 57, 3 * side - 31)
        whole = predict_logits(model, image)
        for way, predict in ways(side, measure(model, 1)):
            began = time.perf_counter()
            apart = difference(predict(model, image), whole)
            print(
                f"| {name} | {way} | {apart.largest:.1e} | {apart.mean:.1e} | {apart.changed:.2%} "
                f"| {time.perf_counter() - began:.1f} |",
                flush=True,
            )


Way = Callable[[nn.Module, Tensor], Tensor]


def ways(side: int, facts: NetworkFacts) -> Iterator[tuple[str, Way]]:
    """How windows are put together, with a name."""
    yield "exact, same tile", lambda model, image: in_tiles(model, image, facts, side)
    for name, overlap, window in (
        ("smooth, a quarter", side // 4, "smooth"),
        ("Gaussian, a quarter (MONAI's default overlap)", side // 4, "gaussian"),
        ("Gaussian, half (nnU-Net's)", side // 2, "gaussian"),
    ):
        tiles = TileConfig(mode="blended", size=side - overlap, overlap=overlap, window=window, whole_below=0)
        yield name, lambda model, image, tiles=tiles: tiled(model, image, facts, tiles)
    try:
        from monai.inferers import sliding_window_inference
    except ImportError:
        return

    def monai(model: nn.Module, image: Tensor, overlap: float) -> Tensor:
        with torch.inference_mode():
            found = sliding_window_inference(image[None], (side, side), 1, model, overlap, mode="gaussian")
        return found[0]

    for overlap in (0.25, 0.5):
        yield f"MONAI, Gaussian, {overlap}", lambda model, image, share=overlap: monai(model, image, share)


def network(name: str, *, full: bool) -> nn.Module:
    """[1, 1, H, W] -> [1, 2, H, W], as it predicts."""
    torch.manual_seed(0)
    options = {} if full else dict(model_facts(name)["small"])
    if "encoder" in options:  # of "unet:resnet34", another encoder
        name = f"{name.partition(':')[0]}:{options.pop('encoder')}"
    if "borders" in model_config(name).model_fields:
        options["borders"] = "mirror"  # valid convolutions give fewer logits than pixels otherwise
    model = create_model(name, in_channels=1, num_classes=2, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


def noise(height: int, width: int) -> Tensor:
    """[1, H, W]"""
    return torch.randn(1, height, width) + torch.linspace(-2, 2, width)


if __name__ == "__main__":
    main()
