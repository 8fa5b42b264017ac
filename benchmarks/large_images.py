"""Memory and time of predicting 1, 4 and 16 gigapixels, and whether a kill in the middle costs anything.

    python benchmarks/large_images.py [GIGAPIXELS ...] [--folder FOLDER] [--objects] [--run RUN]

Trains a pocket network for some seconds, unless a run is given. Each image is a Zarr store of squares of
32,768 pixels a side (a gigapixel is one of them), empty but for a few chunks with noise and discs, and is
predicted by `uvala predict` in a process of its own, whose largest resident memory the system tells
(ru_maxrss). Fails if the largest image takes 10% more memory than the smallest, or 2 GB besides the weights.

Then the smallest image is predicted again, the process is killed (SIGKILL) when half of its blocks are done,
and gone on with: the mask must be equal, byte by byte. Fails if the process was done before it was killed, or
had nothing done yet.
"""

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import zarr
from PIL import Image

import uvala

SIDE = 32768  # pixels; 1.07 gigapixels
CHUNK = 1024
FILLED = 24  # chunks with something in them, per gigapixel
QUICK = {"patches.size": 64, "patches.batch": 4, "validation.rounds": 2, "length.steps": 60}
MOST, GROWTH = 2e9, 1.10

# Runs a command and tells its largest memory. A process begins with the peak of the one that starts it, which
# here has PyTorch loaded; so this one, which is small, stands between them.
BETWEEN = """
import os, sys
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(process, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("gigapixels", type=int, nargs="*", default=[1, 4, 16])
    parser.add_argument("--folder", type=Path, help="where images and masks are written; default temporary")
    parser.add_argument("--run", type=Path, help="the run that predicts; default a pocket network")
    parser.add_argument("--objects", action="store_true", help="also find and measure objects")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        run = asked.run or train(folder)
        gigapixels = sorted(set(asked.gigapixels))
        fine = sizes(run, folder, gigapixels, asked.objects)
        fine &= kill(run, folder, gigapixels[0])
    sys.exit(0 if fine else 1)


def sizes(run: Path, folder: Path, gigapixels: list[int], objects: bool) -> bool:
    """The table of memory and time; whether memory is bounded. The smallest's mask stays in `folder`."""
    weights = sum(path.stat().st_size for path in run.rglob("model.safetensors"))
    print("| image | gigapixels | seconds | megapixels/s | largest memory, MB | mask, MB |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    memory = []
    for giga in gigapixels:
        image = draw(folder / f"{giga}.zarr", giga)
        seconds, largest = predict(run, image, folder / f"out{giga}", objects)
        memory.append(largest - weights)
        mask = (folder / f"out{giga}" / f"{giga}.tif").stat().st_size
        side = zarr.open_array(image, mode="r").shape
        pixels = side[-2] * side[-1]
        print(
            f"| {side[-1]}x{side[-2]} | {pixels / 1e9:.1f} | {seconds:.0f} | {pixels / seconds / 1e6:.0f} "
            f"| {largest / 1e6:.0f} | {mask / 1e6:.0f} |",
            flush=True,
        )
        if giga != gigapixels[0]:
            shutil.rmtree(folder / f"out{giga}")
    print(f"\nmemory grows by {memory[-1] / memory[0] - 1:+.1%} from the smallest to the largest image")
    return memory[-1] <= GROWTH * memory[0] and max(memory) < MOST


def kill(run: Path, folder: Path, giga: int) -> bool:
    """Kill a prediction in its middle and go on with it; whether its mask is that of the undisturbed one."""
    image, out = folder / f"{giga}.zarr", folder / "killed"
    process = subprocess.Popen(command(run, image, out), stdout=subprocess.DEVNULL)
    marks = out / f".{giga}.stage" / "finished.txt"
    blocks = giga * (SIDE // CHUNK) ** 2
    while process.poll() is None and done(marks) < blocks // 2:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    killed, before = process.wait() == -signal.SIGKILL, done(marks)
    if not killed or not 0 < before < blocks:
        print(f"not killed in its middle: {before} of {blocks} blocks, exit status {process.returncode}")
        return False
    began = time.monotonic()
    subprocess.run([*command(run, image, out), "--resume"], check=True)
    same = digest(out / f"{giga}.tif") == digest(folder / f"out{giga}" / f"{giga}.tif")
    print(
        f"killed after {before} of {blocks} blocks, gone on with in {time.monotonic() - began:.0f} s: "
        f"{'equal' if same else 'DIFFERENT'}"
    )
    return same


def predict(run: Path, image: Path, out: Path, objects: bool) -> tuple[float, int]:
    """Seconds of a prediction in a process of its own, and the largest memory that it held, bytes."""
    asked = [*command(run, image, out), *(["--objects", "csv,geojson"] if objects else [])]
    began = time.monotonic()
    told = subprocess.run([sys.executable, "-c", BETWEEN, *asked], stdout=subprocess.PIPE, check=True)
    return time.monotonic() - began, int(told.stdout) * 1024


def command(run: Path, image: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "uvala", "predict", str(run), str(image), "--out", str(out)]


def done(marks: Path) -> int:
    """Blocks that are complete: of a tile there may be several."""
    return marks.read_bytes().count(b"\n") if marks.exists() else 0


def draw(path: Path, giga: int) -> Path:
    """A store of so many gigapixels, nearly all of it empty."""
    if path.exists():
        return path
    rows = max(each for each in range(1, giga + 1) if giga % each == 0 and each * each <= giga)
    shape = (rows * SIDE, giga // rows * SIDE)
    array = zarr.create_array(path, shape=shape, chunks=(CHUNK, CHUNK), dtype="uint8", fill_value=0)
    dice = np.random.default_rng(0)
    for _ in range(FILLED * giga):
        row, column = (int(dice.integers(length // CHUNK)) * CHUNK for length in shape)
        array[row : row + CHUNK, column : column + CHUNK] = discs((CHUNK, CHUNK), 60, dice)[0]
    return path


def discs(size: tuple[int, int], count: int, dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A grey image with bright discs, and their mask."""
    rows, columns = np.ogrid[: size[0], : size[1]]
    mask = np.zeros(size, bool)
    for _ in range(count):
        row, column, radius = dice.integers(size[0]), dice.integers(size[1]), dice.integers(4, 12)
        mask |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
    image = np.where(mask, 190, 60) + dice.normal(0, 8, size)
    return image.clip(0, 255).astype(np.uint8), mask


def train(folder: Path) -> Path:
    """A pocket network that finds discs."""
    data = write_discs(folder / "data")
    uvala.train(data, out=folder / "run", model="pocket_unet", device="cpu", settings=QUICK)
    return folder / "run"


def write_discs(data: Path) -> Path:
    """A small data set."""
    dice = np.random.default_rng(1)
    for kind in ("images", "masks"):
        (data / kind).mkdir(parents=True)
    for index in range(10):
        image, mask = discs((96, 96), 6, dice)
        Image.fromarray(image).save(data / "images" / f"{index}.png")
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(data / "masks" / f"{index}.png")
    return data


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()


if __name__ == "__main__":
    main()
