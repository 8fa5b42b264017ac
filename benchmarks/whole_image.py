"""One large image, too large for most machines in one piece: exact tiles against the whole image and peers.

    python benchmarks/whole_image.py [NETWORK ...] [--side 4096] [--rounds 2] [--ways NAME ...]
                                     [--peers PYTHON]

NETWORK: pytorch_unet:WIDTH, or another name of `uvala models`; three channels, two classes, random weights,
and batch norms with random statistics. Each prediction has a process of its own, one after the other; the
ways take turns, so that a ratio is that of two times of one round. The network has computed a small image
before the clock starts.

whole: `uvala.predict_logits` without tiles. exact: the same, in tiles as `uvala predict` cuts them (1024);
exact_2048: in larger ones, as it cuts them where `--memory` allows it. All three keep freed memory, as a
loaded run does.
eager: the network called with the image, as PyTorch comes (NCHW). monai_0.25, monai_0.5 and nnunet (half a
window, no mirroring): windows of --window pixels a side, Gaussian; they want the interpreter of an
environment that has them and what uvala needs.

Memory is the most that a process held while it predicted (VmHWM), and how much more that is than before the
image was there. Differences are from "whole", in standard deviations of its logits.
With OMP_NUM_THREADS=1 processor time counts in place of wall-clock time, so that a busy machine can be borne.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

NETWORKS = ("pytorch_unet:16", "unet:resnet34")
OURS = ("whole", "exact", "exact_2048", "eager")
PEERS = ("monai_0.25", "monai_0.5", "nnunet")
SOURCES = Path(__file__).parent.parent / "src"
SMALL = 256  # pixels a side of the image that is computed first


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ways", nargs="*", default=OURS, choices=(*OURS, *PEERS))
    parser.add_argument("--peers", help="a Python that has MONAI and nnU-Net")
    arguments = parser.parse_args()
    ways = ["whole", *(way for way in arguments.ways if way != "whole")]  # the others are compared with it
    if arguments.peers:
        ways += [way for way in PEERS if way not in ways]
    elif wanting := [way for way in PEERS if way in ways]:
        parser.error(f"--ways {' '.join(wanting)} needs --peers")
    print("| network | way | s | of whole, median | least and most | memory, MB | more, MB | difference |")
    print("|---|---|--:|--:|---|--:|--:|--:|", flush=True)
    for network in arguments.networks:
        with tempfile.TemporaryDirectory() as folder:
            for row in rows(network, ways, arguments, Path(folder)):
                print(row, flush=True)


def rows(network: str, ways: list[str], arguments: argparse.Namespace, folder: Path) -> list[str]:
    """A line of the table for each way."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for number in range(arguments.rounds):
        for way in ways:
            found[way].append(one(network, way, arguments, folder, compare=not number))
            print(f"{network}, round {number + 1}, {way}: {found[way][-1]}", file=sys.stderr, flush=True)
    lines = []
    for way in ways:
        seconds = [each["seconds"] for each in found[way]]
        whole = [each["seconds"] for each in found["whole"]]
        ratios = [ours / theirs for ours, theirs in zip(seconds, whole, strict=True)]
        peak, more = (max(each[key] for each in found[way]) / 1e6 for key in ("peak", "more"))
        lines.append(
            f"| {network} | {way} | {statistics.median(seconds):.1f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f}-{max(ratios):.2f} | {peak:.0f} | {more:.0f} "
            f"| {found[way][0]['difference']:.1e} |"
        )
    return lines


def one(
    network: str, way: str, arguments: argparse.Namespace, folder: Path, *, compare: bool
) -> dict[str, Any]:
    """Seconds and bytes of one prediction, in a process of its own."""
    asked = {
        "network": network,
        "way": way,
        "side": arguments.side,
        "window": arguments.window,
        "folder": str(folder) if compare else "",
    }
    python = arguments.peers if way in PEERS else sys.executable
    paths = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    told = subprocess.run(
        [python, __file__, "--one", json.dumps(asked)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    if told.returncode:
        raise SystemExit(f"{network}: {way} ended with {told.returncode} (-9: no memory left); see above")
    return json.loads(told.stdout.splitlines()[-1])


def work(network: str, way: str, side: int, window: int, folder: str) -> dict[str, Any]:
    """What `one` tells. folder: where logits are compared; "": nowhere."""
    import torch

    if way in OURS and way != "eager":
        from uvala.training.allocator import keep_freed_memory

        keep_freed_memory()
    model = network_of(network)
    predict = ways_of(model, window)[way]()
    with torch.inference_mode():
        predict(image_of(SMALL))
        Path("/proc/self/clear_refs").write_text("5")  # what was the most so far does not count
        before = memory("VmRSS")
        image = image_of(side)
        # processor time where one thread works: other programs do not count
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        began = clock()
        logits = predict(image)
        seconds = clock() - began
    peak = memory("VmHWM")
    apart = difference(logits.float(), way, Path(folder)) if folder else float("nan")
    return {"seconds": seconds, "peak": peak, "more": peak - before, "difference": apart}


def difference(logits: Any, way: str, folder: Path) -> float:
    """The largest from those of "whole", which come first and are kept; in their standard deviations."""
    import numpy as np

    file = folder / "whole.npy"
    if way == "whole":
        np.save(file, logits.numpy())
        return 0.0
    whole = np.load(file, mmap_mode="r")
    return float(abs(logits.numpy() - whole).max() / whole.std())


def network_of(name: str) -> Any:
    """[1, 3, H, W] -> [1, 2, H, W], as it predicts."""
    import torch
    from torch import nn

    from uvala.models.catalog import create_model

    kind, _, width = name.partition(":") if name.startswith("pytorch_unet") else (name, "", "")
    torch.manual_seed(0)
    model = create_model(kind, in_channels=3, num_classes=2, **({"width": int(width)} if width else {}))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval().requires_grad_(False)


def image_of(side: int) -> Any:
    """Noise on a ramp, [3, side, side], the same at each call."""
    import torch

    noise = torch.randn(3, side, side, generator=torch.Generator().manual_seed(0))
    return noise.add_(torch.linspace(-2, 2, side))


def ways_of(model: Any, window: int) -> dict[str, Callable]:
    """What makes each way ready; it gives logits [K, H, W] of an image [C, H, W]."""
    from functools import partial

    return {
        "whole": lambda: whole(model),
        "exact": lambda: exact(model),
        "exact_2048": lambda: exact(model, size=2048),
        "eager": lambda: lambda image: model(image[None])[0],
        "monai_0.25": lambda: partial(monai, model, window, 0.25),
        "monai_0.5": lambda: partial(monai, model, window, 0.5),
        "nnunet": lambda: partial(nnunet, model, window),
    }


def whole(model: Any) -> Callable:
    from uvala.tiling.logits import predict_logits

    return lambda image: predict_logits(model, image)


def exact(model: Any, **tiles: int) -> Callable:
    """In tiles of the default size, or as `tiles` says."""
    import torch

    from uvala.models.facts import measure
    from uvala.tiling.config import TileConfig
    from uvala.tiling.run import predict_probabilities
    from uvala.tiling.use import TiledUse

    facts = measure(model, 3)  # the card of a run knows them
    use = TiledUse(
        model,
        device=torch.device("cpu"),
        halo=facts.halo,
        multiple=facts.multiple,
        tiles=TileConfig(whole_below=0, **tiles),
        activate=lambda logits: logits,
    )
    return lambda image: predict_probabilities(use, image)


def monai(model: Any, window: int, overlap: float, image: Any) -> Any:
    from monai.inferers import sliding_window_inference

    return sliding_window_inference(
        image[None], (window, window), 1, model, overlap=overlap, mode="gaussian"
    )[0]


def nnunet(model: Any, window: int, image: Any) -> Any:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.network = model
    predictor.configuration_manager = SimpleNamespace(patch_size=[window, window])
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=2)
    return predictor.predict_sliding_window_return_logits(image[:, None])[:, 0]


def memory(key: str) -> int:
    """Bytes that this process holds (VmRSS), or held at most since it began (VmHWM)."""
    match = re.search(rf"^{key}:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match, "needs Linux"
    return int(match[1]) * 1024


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(work(**json.loads(sys.argv[2]))))
    else:
        main()
