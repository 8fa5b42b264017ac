"""Prediction of one image on the CPU: every backend against what others run, in turn.

    python benchmarks/inference.py [NETWORK ...] [--side 512] [--rounds N] [--ways NAME ...] [--peers PYTHON]

NETWORK: pytorch_unet:WIDTH, or another name of `uvala models`; three channels, two classes. Every way has a
process of its own, all alive, and they compute the image in turn, so that whatever else the machine does hits
them alike; a ratio is that of two times of one round. `eager` is PyTorch as most people run it: NCHW, as the
allocator comes. `gemm` multiplies two float32 matrices of 2048x2048, which is what a processor can do; how
much of that a way reaches is counted in multiply-adds of direct convolutions, so that Winograd's may reach
more than all of it. MONAI (window 256, overlap 0.25) and nnU-Net (window 256, step 0.5, no mirroring) want
the interpreter of an environment that has them.

"ready" is the time until the first image, with nothing kept from earlier (an empty UVALA_CACHE), while no
other way is at work.

With OMP_NUM_THREADS=1 processor time counts in place of wall-clock time, so that a busy machine can be borne.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace

NETWORKS = ("pytorch_unet:64", "pytorch_unet:32", "pytorch_unet:16", "unet:resnet34")
OURS = ("torch", "onnxruntime", "openvino", "ncnn")
RAW = ("raw_onnxruntime", "raw_openvino")
PEERS = ("monai", "nnunet")
WAYS = ("eager", *OURS, "compile", *RAW, "raw_openvino_default", *PEERS, "gemm")
WINDOW = 256
MATRIX = 2048


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--ways", nargs="*", default=("eager", *OURS, *RAW, "gemm"), choices=WAYS)
    parser.add_argument("--peers", help="a Python that has MONAI and nnU-Net")
    arguments = parser.parse_args()
    if not arguments.peers and (wanting := [way for way in PEERS if way in arguments.ways]):
        parser.error(f"--ways {' '.join(wanting)} needs --peers")
    ways = ["eager", *(way for way in arguments.ways if way != "eager")]
    ways += [way for way in PEERS if arguments.peers and way not in ways]
    print("| network | way | ready, s | s | MP/s | ratio, median | quartiles | of GEMM | difference |")
    print("|---|---|--:|--:|--:|--:|---|--:|--:|")
    for network in arguments.networks:
        for row in rows(network, ways, arguments):
            print(row, flush=True)


def rows(network: str, ways: list[str], arguments: argparse.Namespace) -> list[str]:
    """A line of the table for each way."""
    workers, ready = [], []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as cache:
        try:
            for way in ways:
                workers.append(worker(network, way, arguments, f"{cache}/{way}"))
                ready.append(told_ready(network, way, workers[-1]))
            rounds = [[turn(each) for each in workers] for _ in range(arguments.rounds)]
        finally:
            for each in workers:
                each.kill()
                each.wait()
    times = dict(zip(ways, zip(*rounds, strict=True), strict=True))
    flops = float(ready[0][2])
    gemm = 2 * MATRIX**3 / statistics.median(times["gemm"]) if "gemm" in times else float("nan")
    megapixels = arguments.side**2 / 1e6
    lines = []
    for way, (seconds, difference, _) in zip(ways, ready, strict=True):
        median = statistics.median(times[way])
        ratios = [ours / eager for ours, eager in zip(times[way], times["eager"], strict=True)]
        low, middle, high = quartiles(ratios)
        if way == "gemm":
            lines.append(f"| {network} | gemm: {gemm / 1e9:.0f} GFLOP/s | | | | | | | |")
            continue
        lines.append(
            f"| {network} | {way} | {float(seconds):.1f} | {median:.3f} | {megapixels / median:.3f} "
            f"| {middle:.3f} | {low:.3f}-{high:.3f} | {flops / median / gemm:.2f} | {float(difference):.0e} |"
        )
    return lines


def quartiles(numbers: Sequence[float]) -> Sequence[float]:
    return statistics.quantiles(numbers, n=4) if len(numbers) > 1 else 3 * list(numbers)


def told_ready(network: str, way: str, worker: subprocess.Popen) -> list[str]:
    """What a process says when it is ready, before the next one begins."""
    said = worker.stdout.readline().split()
    if not said:
        raise SystemExit(f"{network}: {way} did not get ready; see above, or leave it out")
    return said


def worker(network: str, way: str, arguments: argparse.Namespace, cache: str) -> subprocess.Popen:
    """A process that has the network ready. cache: where it keeps what it converts and compiles."""
    python = arguments.peers if way in PEERS else sys.executable
    return subprocess.Popen(
        [python, __file__, "--worker", network, way, str(arguments.side)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"UVALA_CACHE": cache, "TORCHINDUCTOR_CACHE_DIR": cache},
    )


def turn(worker: subprocess.Popen) -> float:
    """Seconds of one image."""
    print(file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


def work(network: str, way: str, side: int) -> None:
    """Compute the image whenever a line comes in, and answer with the time it took."""
    if way in (*OURS, "compile"):
        from uvala.training.allocator import keep_freed_memory

        keep_freed_memory()
    import torch

    from uvala.arrays import Size
    from uvala.backends.agreement import compare, noise
    from uvala.models.catalog import create_model
    from uvala.models.facts import multiply_adds

    # processor time where one thread works: other programs do not count
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    name, _, width = network.partition(":") if network.startswith("pytorch_unet") else (network, "", "")
    torch.manual_seed(0)
    options = {"width": int(width)} if width else {}
    model = create_model(name, in_channels=3, num_classes=2, **options).eval()
    image = noise(1, 3, side, side)
    flops = 2 * multiply_adds(model, 3, Size(side, side)) if way == "eager" else 0
    began = clock()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        compute = matrices() if way == "gemm" else ways_of(model, side)[way]()
        with torch.inference_mode():
            first = compute(image)
            seconds = clock() - began
            difference = 0.0 if way in ("gemm", "eager") else compare(model(image), first).difference
    print(seconds, difference, flops, flush=True)
    with torch.inference_mode():
        for _ in sys.stdin:
            began = clock()
            compute(image)
            print(clock() - began, flush=True)


def ways_of(model, side: int) -> dict[str, Callable]:
    """What makes each way ready; it gives logits [B, K, H, W] of images."""
    from functools import partial

    from uvala.arrays import Size
    from uvala.backends.accelerate import accelerate

    ready = partial(accelerate, model, in_channels=3, tile=Size(side, side))
    return {
        "eager": lambda: model,
        **{name: partial(ready, name) for name in (*OURS, "compile")},
        "raw_onnxruntime": partial(raw_onnxruntime, model, side),
        "raw_openvino": partial(raw_openvino, model, side, {"INFERENCE_PRECISION_HINT": "f32"}),
        "raw_openvino_default": partial(raw_openvino, model, side, {}),
        "monai": partial(monai, model),
        "nnunet": partial(nnunet, model),
    }


def matrices() -> Callable:
    import torch

    left, right = torch.randn(MATRIX, MATRIX), torch.randn(MATRIX, MATRIX)
    return lambda image: left @ right


def exported(model, side: int) -> bytes:
    """As torch writes it, of one size."""
    import io
    import warnings

    import torch

    graph = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.randn(1, 3, side, side),), graph, dynamo=False)
    return graph.getvalue()


def raw_onnxruntime(model, side: int) -> Callable:
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(exported(model, side), raw_options(onnxruntime))
    (source,) = session.get_inputs()
    return lambda image: torch.from_numpy(session.run(None, {source.name: image.numpy()})[0])


def raw_options(onnxruntime):
    options = onnxruntime.SessionOptions()
    if os.environ.get("OMP_NUM_THREADS") == "1":  # otherwise it takes all cores, whatever torch does
        options.intra_op_num_threads = 1
    return options


def raw_openvino(model, side: int, settings: dict[str, str]) -> Callable:
    import torch

    from uvala.backends.openvino import import_openvino

    core = import_openvino().Core()
    if os.environ.get("OMP_NUM_THREADS") == "1":
        settings = settings | {"INFERENCE_NUM_THREADS": "1"}
    compiled = core.compile_model(core.read_model(exported(model, side)), "CPU", settings)
    return lambda image: torch.from_numpy(compiled([image.numpy()])[0])


def monai(model) -> Callable:
    from monai.inferers import sliding_window_inference

    return lambda image: sliding_window_inference(
        image, (WINDOW, WINDOW), 1, model, overlap=0.25, mode="gaussian"
    )


def nnunet(model) -> Callable:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.network = model
    predictor.configuration_manager = SimpleNamespace(patch_size=[WINDOW, WINDOW])
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=2)
    return lambda image: predictor.predict_sliding_window_return_logits(image[0][:, None])[:, 0][None].float()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
