"""How long `uvala check` takes on 10,000 generated images of 256x256 with masks.

python benchmarks/check_10000.py FOLDER; the folder is filled at the first call (about 1 GB). Prints the
wall-clock time and the peak memory of the command.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from uvala.data.synthetic import synthetic_sample
from uvala.data.synthetic_config import SyntheticConfig

COUNT, SIZE = 10_000, 256
DRAWN = (
    50  # the rest are these, moved and with fresh noise: drawing 10,000 would take minutes and change nothing
)


def fill(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    config = SyntheticConfig(count=DRAWN, size=SIZE, seed=0)
    drawn = [synthetic_sample(config, index) for index in range(DRAWN)]
    for index in range(COUNT):
        rng = np.random.default_rng(index)
        image, labels = drawn[index % DRAWN]
        shift = tuple(rng.integers(0, SIZE, 2))
        noisy = np.roll(image, shift, (0, 1)) * rng.uniform(0.6, 1.2) + rng.normal(0, 4, image.shape)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"images/{index:05d}.png")
        Image.fromarray(((np.roll(labels, shift, (0, 1)) > 0) * 255).astype(np.uint8)).save(
            folder / f"masks/{index:05d}.png"
        )


if __name__ == "__main__":
    data = Path(sys.argv[1])
    if not data.exists():
        fill(data)
    began = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-m", "uvala", "check", data, "--json"], stdout=subprocess.DEVNULL
    )
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"uvala check of {COUNT:,} images: {seconds:.1f} s, peak {peak:.0f} MB, exit code {result.returncode}"
    )
