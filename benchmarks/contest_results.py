"""The results of a benchmark's trainings: one JSON line each, added as they come.

A training is known by some values of its row, its key: what stands in the file is not run again.
"""

import json
import os
import platform
import subprocess
import time
from pathlib import Path

from uvala.machine import usable_cores

__all__ = ["append", "key", "latest", "origin", "run_alone"]


def origin() -> dict[str, object]:
    """Of which code and which machine a result is: call it before the training, while the code is that."""
    return {"commit": commit(), "cpu": cpu(), "cores": usable_cores()}


def commit() -> str:
    """The short commit, with "-dirty" where files differ from it; UVALA_COMMIT says that of no checkout."""
    if said := os.environ.get("UVALA_COMMIT"):
        return said
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cpu() -> str:
    """The name of the processor."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def append(path: Path, row: dict) -> None:
    """Add a result."""
    with path.open("a") as file:
        print(json.dumps(row), file=file)


def latest(path: Path, names: tuple[str, ...]) -> dict[tuple, dict]:
    """The results by their key, the values under `names`; of a training that stands there twice, the last.

    Rows without all of these values, as an earlier version wrote them, are left out.
    """
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {key(row, names): row for row in rows if row.keys() >= set(names)}


def key(row: dict, names: tuple[str, ...]) -> tuple:
    """What a training is known by."""
    return tuple(row[name] for name in names)


def run_alone(what: str, command: list[str], log: Path) -> None:
    """A training in a process of its own, so that none inherits another's memory; it writes to `log`."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
    with log.open("a") as file:
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        print(f"  failed ({code}), see {log}", flush=True)
