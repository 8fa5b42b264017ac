"""How long a training step of a network takes on this machine, and how much memory: measured, not guessed."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from uvala.arrays import IGNORE
from uvala.augment.config import AugmentConfig
from uvala.augment.policy import augment_batch
from uvala.augment.spatial import window_margin
from uvala.data.target_config import TargetConfig
from uvala.errors import ConfigError, UvalaError
from uvala.losses.combined import Loss, over_outputs, segmentation_loss
from uvala.losses.config import LossConfig
from uvala.models.layout import use_layout
from uvala.plan.work import Candidate

__all__ = ["Probe", "StepCost", "autocast_dtype", "check_batch", "measure_step"]

_MOST_ROUNDS = 6
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class StepCost:
    """seconds: of one training step; infinite if it does not fit, or if the compiler fails.

    memory: bytes that were held at most, on a CPU by the whole process; None where nobody knows. trouble:
    what the compiler said when it failed.
    """

    seconds: float
    memory: int | None = None
    trouble: str = ""

    @property
    def fits(self) -> bool:
        """Whether it can be done, with the memory that there is."""
        return math.isfinite(self.seconds)


Probe = Callable[[Candidate, float], StepCost]
"""(candidate, seconds that may be spent) -> what a step of it costs."""


def check_batch(model: nn.Module, *, patch: int, batch: int, parts: int = 1) -> None:
    """ConfigError where a batch norm would see a single value of a channel, of which there is no variance.

    parts: that a batch is worked off in.
    """
    normed = any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    multiple = int(getattr(model, "multiple", 1))
    part = math.ceil(batch / parts)  # of all but the last, which has what is left
    if normed and (part == 1 or batch % part == 1) and patch <= multiple:
        raise ConfigError(
            found=f"one patch of {patch} pixels at once, which is one pixel at the network's lowest level",
            expected="two values or more of each channel for its batch norms",
            fix="set patches.batch to 2, or to twice the parts of optimiser.accumulate, "
            f"or patches.size above {multiple}",
        )


def measure_step(
    candidate: Candidate,
    seconds: float,
    device: torch.device,
    *,
    augment: AugmentConfig | None = None,
    loss: LossConfig | None = None,
    targets: TargetConfig | None = None,
) -> StepCost:
    """What a training step costs on `device`: augmentation, forward, loss, backward, clipping and AdamW.

    The fastest of the steps after the first, as many as `seconds` allow, because whatever else the machine
    does can only add time; the first itself if it takes all of them. Infinite time where the memory of a GPU
    does not suffice, and where torch.compile fails. The weights of the network are drawn without touching
    the global generator. targets: what is learnt, for which the candidate has its logits.
    """
    with torch.random.fork_rng(devices=[]):
        model = candidate.network()
    check_batch(model, patch=candidate.patch, batch=candidate.batch)
    learnt = targets or TargetConfig()
    try:
        compare = segmentation_loss(loss or LossConfig(), device, objects=learnt.objects)
        changes = augment or AugmentConfig()
        step = _training_step(model.to(device).train(), candidate, device, changes, compare, learnt)
        with _peak_memory(device) as peak:
            times = list(_times(step, seconds))
    except torch.OutOfMemoryError:
        return StepCost(float("inf"))
    except Exception as error:  # a compiler of many parts, each of which has errors of its own
        if not candidate.compile or isinstance(error, UvalaError):
            raise
        return StepCost(float("inf"), trouble=_first_line(error))
    return StepCost(min(times[1:] or times), peak())


def _first_line(error: Exception) -> str:
    """What it says, without the name of the compiler that raised it."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.endswith("raised:")), type(error).__name__)


def _times(step: Callable[[], None], seconds: float) -> Iterator[float]:
    spent = 0.0
    for number in range(_MOST_ROUNDS + 1):
        began = time.perf_counter()
        step()
        took = time.perf_counter() - began
        yield took
        spent += took
        # the first step also sets things up, and often takes twice the time of the next
        if spent + took > (seconds if number else 3 * seconds):
            break


def _training_step(
    model: nn.Module,
    candidate: Candidate,
    device: torch.device,
    augment: AugmentConfig,
    loss: Loss,
    targets: TargetConfig,
) -> Callable[[], None]:
    draws = torch.Generator().manual_seed(0)
    side = candidate.patch + 2 * window_margin(augment, candidate.patch)
    windows = torch.empty(candidate.batch, candidate.channels, side, side).uniform_(-1, 1, generator=draws)
    classes = candidate.logits - (targets.objects == "distance")  # an outline is a class of its own
    masks = torch.randint(0, min(classes, IGNORE), (candidate.batch, side, side), generator=draws)
    maps = torch.rand(candidate.batch, targets.maps, side, side, generator=draws)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6)
    weights = getattr(model, "loss_weights", None)
    dtype = autocast_dtype(candidate.precision, device)
    use_layout(model, candidate.memory_format)
    called = torch.compile(model, dynamic=False) if candidate.compile else model

    def step() -> None:
        image, target, bent = augment_batch(
            windows.to(device),
            masks.to(device, torch.uint8),
            maps.to(device),
            augment,
            candidate.patch,
            [draws] * candidate.batch,
        )
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            value = over_outputs(loss, called(image), target.long(), weights, bent if targets.maps else None)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        value.item()  # waits for the device

    return step


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[Callable[[], int | None]]:
    """A function that tells, after this block, what was taken at most while it ran, in bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: torch.cuda.max_memory_allocated(device)
        return
    known = device.type == "cpu" and _forget_peak()
    yield lambda: _peak() if known else None


def _forget_peak() -> bool:
    """Let the system count this process's peak memory anew; False where it cannot (other than Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _peak() -> int:
    """Bytes that Linux saw this process hold at most."""
    lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The format of mixed precision on that device; None for plain float32."""
    if precision == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
