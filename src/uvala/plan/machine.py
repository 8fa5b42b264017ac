"""The machine that trains: which device, and how much memory a training may take there."""

from dataclasses import dataclass

import torch

from uvala.machine import usable_memory

__all__ = ["Machine", "look_at_machine"]

_SHARE_OF_FREE = 0.8  # other processes may want some, and so may what follows the training
_SHARE_OF_ALL = 0.6


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
        memory = usable_memory()
        whole, free = memory.whole, memory.free
    share = _SHARE_OF_FREE * free if at_once else _SHARE_OF_ALL * whole
    return Machine(device, int(share), device.type == "cpu" and _multiplies_bfloat16())


def _multiplies_bfloat16() -> bool:
    # torch knows it and has no public function that says so
    checks = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return any(check() for check in checks if check is not None)
