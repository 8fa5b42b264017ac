"""A training step on the CPU against eager PyTorch, ingredient by ingredient.

    python benchmarks/train_step.py [NETWORK ...] [--rounds N] [--ways NAME ...]

NETWORK: pytorch_unet:WIDTH (batch 2 of 256x256, three channels) or unet:FOLD:WIDTH (batch 4 of 256x256, one
channel; what uvala trains on the CPU). Forward, cross-entropy, backward and Adam, the same weights and images
for all. A way and plain PyTorch have a process each, both alive, and take a step in turn, so that whatever
else the machine does hits them alike; a ratio is that of the two steps of a round. With OMP_NUM_THREADS=1
processor time counts in place of wall-clock time, so that a busy machine can be borne.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

WAYS = {
    "allocator": "contiguous allocator",
    "channels_last": "channels_last",
    "mixed": "mixed",
    "channels_last+allocator": "channels_last allocator",
    "mixed+allocator": "mixed allocator",
    "bfloat16": "channels_last allocator bfloat16",
    "fused_adam": "contiguous fused",
    "no_denormals": "contiguous flush",
}
TABLE = tuple(WAYS)[:6]  # the others gain nothing
NETWORKS = ("pytorch_unet:16", "pytorch_unet:32", "pytorch_unet:64", "unet:1:16", "unet:2:24", "unet:2:32")
SIDE = 256


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--ways", nargs="*", default=TABLE, choices=tuple(WAYS))
    arguments = parser.parse_args()
    print("| network | way | plain, ms | ms | ratio, median | quartiles | peak memory, MB | of plain |")
    print("|---|---|--:|--:|--:|---|--:|--:|")
    for network in arguments.networks:
        for way in arguments.ways:
            print(row(network, way, race(network, WAYS[way], arguments.rounds)), flush=True)


def race(network: str, way: str, rounds: int) -> list[list[tuple[float, float]]]:
    """(seconds, peak memory in MB) of a plain step and of one of that way, for each round."""
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, "--worker", network, each],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in ("contiguous", way)
    ]
    try:
        for _ in range(2):  # to warm up
            steps(workers)
        return [steps(workers) for _ in range(rounds)]
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


def row(network: str, way: str, times: list[list[tuple[float, float]]]) -> str:
    low, middle, high = statistics.quantiles([ours[0] / plain[0] for plain, ours in times], n=4)
    plain, ours = (1000 * statistics.median(each[column][0] for each in times) for column in (0, 1))
    before, memory = (each[1] for each in times[-1])
    return (
        f"| {network} | {way} | {plain:.0f} | {ours:.0f} | {middle:.3f} | {low:.3f}-{high:.3f} "
        f"| {memory:.0f} | {memory / before:.2f} |"
    )


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
