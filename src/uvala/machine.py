"""What of the machine this process may use: cores and memory, which in a container are fewer than there are.

Limits are looked up in control groups, version 2 (Linux, cgroups(7)) and then 1: in the process's own group
and in all above it, the root of a container being the uppermost that it sees.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = [
    "LARGE_IMAGES",
    "LOADED",
    "Memory",
    "Shares",
    "processes",
    "shares",
    "usable_cores",
    "usable_memory",
]

LARGE_IMAGES = 2 * 10**9
"""Bytes that predicting a large image may take besides the weights, where nobody says how many."""

LOADED = 8 * 10**8
"""Bytes of a process that has loaded all it needs and has not begun: with torch 2.15."""

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_UNKNOWN = 4 * 2**30  # bytes, where the system does not say


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that this process may take: `whole`, whatever else runs, and `free`, of it as things are now."""

    whole: int
    free: int


class Shares(NamedTuple):
    """Bytes of a large image that may be kept at a time, each a part of what predicting it may take in all.

    chunks: decoded parts of the image; strips: instead, where these are so wide or so large that neighbouring
    tiles would have to decode them again and again. shown: decoded parts of the image before, while its files
    are written. stage: predictions that were read from the disk. labels: numbers of objects. behind: blocks
    that wait to be written.
    """

    chunks: int
    strips: int
    shown: int
    stage: int
    labels: int
    behind: int

    @property
    def together(self) -> int:
        """All of them at one time; readers note it where they keep strips instead of chunks."""
        return self.chunks + self.shown + self.stage + self.labels + self.behind


def shares(memory: int | None) -> Shares:
    """The parts of a ceiling in bytes; None: of the usual one."""
    whole = LARGE_IMAGES if memory is None else memory
    return Shares(
        chunks=whole * 3 // 32,
        strips=whole * 3 // 8,
        shown=whole // 32,
        stage=whole // 32,
        labels=whole // 20,
        behind=whole // 16,
    )


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, within its container's share of time.

    A part of a core counts as one: with less than a thread nothing would run.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, _cores_of_groups())))


def usable_memory() -> Memory:
    """Memory that this process may use, of the machine or of its container, whichever is less."""
    whole, free = _memory("MemTotal"), _memory("MemAvailable")
    for limit, used in _memory_of_groups():
        whole, free = min(whole, limit), min(free, max(0, limit - used))
    return Memory(whole, free)


def processes() -> int:
    """How many processes of one training share this machine; torchrun says it."""
    said = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(1, int(said)) if said.isdecimal() else 1


def _cores_of_groups() -> float:
    """Cores' worth of time that control groups leave to this process; infinity without a limit."""
    return min((quota / period for quota, period in _quotas() if quota > 0 and period > 0), default=math.inf)


def _quotas() -> Iterator[tuple[int, int]]:
    for group in _groups(""):
        if len(words := _read(group / "cpu.max").split()) == 2 and words[0] != "max":
            yield int(words[0]), int(words[1])
    for group in _groups("cpu"):
        quota, period = (_number(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if quota is not None and period is not None:
            yield quota, period


def _memory_of_groups() -> Iterator[tuple[int, int]]:
    """Limit and use of memory of each control group that has a limit, bytes."""
    kinds = (
        ("", "memory.max", "memory.current", "inactive_file"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    )
    for controller, of_limit, of_use, of_files in kinds:
        for group in _groups(controller):
            limit, used = _number(group / of_limit), _number(group / of_use)
            if limit is not None and used is not None:
                # files that were read count as used until somebody needs the room: they are no obstacle
                words = dict(line.split() for line in _read(group / "memory.stat").splitlines())
                yield limit, used - int(words.get(of_files, 0))


def _groups(controller: str) -> Iterator[Path]:
    """Folders of this process's control group and of those above it. controller: "" for version 2."""
    root = _GROUPS / controller
    for line in _read(_OWN).splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            inner = PurePosixPath(path.lstrip("/"))
            # in a container the path may be that of the machine, where only the root is to be seen
            yield from (root / each for each in (inner, *inner.parents) if (root / each).is_dir())
            return
    yield root


def _memory(key: str) -> int:
    """Bytes of memory that the system has in all, or that processes can get without swapping."""
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 if key == "MemTotal" else 2)
    return _UNKNOWN


def _number(file: Path) -> int | None:
    """The number in a file; None without one, such as for "max"."""
    text = _read(file).strip()
    return int(text) if text.removeprefix("-").isdecimal() else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
