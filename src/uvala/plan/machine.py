"""The machine that trains: which device, and how much memory a training may take there."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["Machine", "look_at_machine"]

_SHARE_OF_FREE = 0.8  # other processes may want some, and so may what follows the training
_SHARE_OF_ALL = 0.6
_UNKNOWN = 4 * 2**30  # where the system does not say


@dataclass(frozen=True)
class Machine:
    """device: where the network runs. memory: bytes that a training may take there.

    bfloat16: whether it is a CPU that multiplies bfloat16 in hardware; others are slower with it.
    """

    device: torch.device
    memory: int
    bfloat16: bool = False

    @property
    def kind(self) -> str:
        """cpu, cuda or mps."""
        return self.device.type


def look_at_machine(device: torch.device, *, at_once: bool = True) -> Machine:
    """The machine as it is now; `at_once` false: as it always is, whatever else runs on it."""
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
    elif device.type == "mps":
        whole = torch.mps.recommended_max_memory()
        free = whole - torch.mps.current_allocated_memory()
    else:
        limit, used = _container()
        whole = min(_memory("MemTotal"), limit)
        free = min(_memory("MemAvailable"), limit - used)
    memory = int(_SHARE_OF_FREE * free if at_once else _SHARE_OF_ALL * whole)
    return Machine(device, memory, device.type == "cpu" and _multiplies_bfloat16())


def _multiplies_bfloat16() -> bool:
    # torch knows it and has no public function that says so
    checks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(check() for check in checks if check is not None)


def _memory(key: str) -> int:
    """Bytes of memory that the system has in all, or that processes can get without swapping."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))
    except (OSError, StopIteration, ValueError):
        pass
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 if key == "MemTotal" else 2)
    return _UNKNOWN


def _container(folder: Path = Path("/sys/fs/cgroup")) -> tuple[int, int]:
    """A container's limit and what it uses of it (cgroups, version 2, then 1); without one, very much."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return int((folder / limit).read_text()), int((folder / used).read_text())
        except (OSError, ValueError):  # no such version, or "max"
            continue
    return 2**62, 0
