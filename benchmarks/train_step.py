"""A training step on the CPU against eager PyTorch, ingredient by ingredient.

    python benchmarks/train_step.py [NETWORK ...] [--rounds N] [--way NAME ...]

NETWORK: pytorch_unet:WIDTH (batch 2 of 256x256, three channels) or unet:FOLD:WIDTH (batch 4 of 256x256, one
channel; what uvala trains on the CPU). Forward, cross-entropy, backward and Adam, the same weights and images
for all. Each way has a process of its own, all alive, and they take a step in turn, so that whatever else the
machine does hits them alike; a ratio is that of a way's step to plain PyTorch's in the same round.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

WAYS = {
    "plain": "contiguous",
    "allocator": "contiguous allocator",
    "channels_last": "channels_last",
    "mixed": "mixed",
    "fused_adam": "contiguous fused",
    "no_denormals": "contiguous flush",
    "mixed+allocator": "mixed allocator",
    "all": "mixed allocator fused",
    "bfloat16": "mixed allocator fused bfloat16",
}
TABLE = ("plain", "allocator", "channels_last", "mixed", "mixed+allocator", "all")
NETWORKS = ("pytorch_unet:16", "pytorch_unet:32", "pytorch_unet:64", "unet:1:16", "unet:2:24", "unet:2:32")
SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--way", nargs="*", default=TABLE, choices=tuple(WAYS))
    arguments = parser.parse_args()
    ways = ["plain", *(way for way in arguments.way if way != "plain")]
    print("| network | way | ms, median | ratio to plain, median | quartiles | peak memory, MB |")
    print("|---|---|--:|--:|---|--:|")
    for network in arguments.networks:
        for line in table(network, ways, arguments.rounds):
            print(line, flush=True)


def table(network: str, ways: list[str], rounds: int) -> list[str]:
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "--worker", network, WAYS[way]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # a worker that waits for its turn must not spin on the others' cores
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )
        for way in ways
    ]
    try:
        for _ in range(2):  # to warm up
            steps(workers)
        times = [steps(workers) for _ in range(rounds)]
        return [row(network, way, column, times) for column, way in enumerate(ways)]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def steps(workers: list[subprocess.Popen]) -> list[tuple[float, float]]:
    """(seconds, peak memory in MB) of a step of each, one after the other."""
    answers = []
    for worker in workers:
        print(file=worker.stdin, flush=True)
        seconds, memory = worker.stdout.readline().split()
        answers.append((float(seconds), float(memory)))
    return answers


def row(network: str, way: str, column: int, times: list[list[tuple[float, float]]]) -> str:
    ratios = [each[column][0] / each[0][0] for each in times]
    low, middle, high = statistics.quantiles(ratios, n=4)
    milliseconds = 1000 * statistics.median(each[column][0] for each in times)
    memory = times[-1][column][1]
    return f"| {network} | {way} | {milliseconds:.0f} | {middle:.3f} | {low:.3f}-{high:.3f} | {memory:.0f} |"


def work(network: str, way: set[str]) -> None:
    """Take a step whenever a line comes in, and answer with its time and the peak memory."""
    from uvala.training.allocator import keep_freed_memory

    if "allocator" in way:
        assert keep_freed_memory(), "no glibc, or an allocator set up by the environment"
    import torch
    import torch.nn.functional as F

    from uvala.models.catalog import create_model
    from uvala.models.layout import use_layout

    # processor time where one thread works: other programs do not count
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    torch.set_flush_denormal("flush" in way)
    torch.manual_seed(0)
    kind, *numbers = network.split(":")
    if kind == "pytorch_unet":
        batch, channels, options = 2, 3, {"width": int(numbers[0])}
    else:
        fold, width = map(int, numbers)
        batch, channels, options = 4, 1, {"fold": fold, "width": width, "depth": 5 - fold}
    model = create_model(kind, in_channels=channels, num_classes=2, **options).train()
    layout = next(name for name in ("contiguous", "channels_last", "mixed") if name in way)
    use_layout(model, layout)
    image, target = torch.randn(batch, channels, SIDE, SIDE), torch.randint(0, 2, (batch, SIDE, SIDE))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, fused="fused" in way or None)
    for _ in sys.stdin:
        began = clock()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bfloat16" in way):
            loss = F.cross_entropy(model(image), target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        seconds = clock() - began
        print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(sys.argv[2], set(sys.argv[3].split()))
    else:
        main()
