"""Which runtime computes a network fastest, on this machine: measured once, then remembered."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from uvala.arrays import Size
from uvala.backends.accelerate import (
    EXACT,
    NAMES,
    available,
    packages_of,
    require_usable,
    start,
    threads_each,
)
from uvala.backends.agreement import noise, trial_side
from uvala.backends.converted import structure_of, versions_of
from uvala.backends.race import agreements_of, race
from uvala.backends.runtime import Wanted, multiple_of
from uvala.backends.torch_eager import prepare_torch
from uvala.errors import BackendError, StorageError, UnsuitableError
from uvala.files import cache_folder, write_json
from uvala.machine import usable_cores
from uvala.models.facts import multiply_adds

__all__ = ["Choice", "choose"]

_MEASURED = 2.0  # seconds that all candidates together compute, after they have got ready
_ROUNDS = 8
_ONE = 0.2  # seconds that torch may need for the image that they compute
_RATE = {"cpu": 5e10, "cuda": 1e13}  # multiply-adds a second of a core, of a GPU: a guess, before measuring
_WORTH_A_LOOK = 20.0  # seconds of work below which getting ready costs more than the fastest brings
_WORTH_COMPILING = 900.0  # seconds of work: the compiler takes up to 40, and brings about a fifth
_GAIN = 0.97  # of torch's time, above which another runtime is not worth its memory
_CLOSE = 1e-4  # standard deviations of the logits
_SAME_CLASS = 0.9999
_KEPT = 200  # choices, of some 500 bytes each


@dataclass(frozen=True)
class Choice:
    """name: of the fastest runtime. module: the network, made ready for it.

    seconds: per megapixel, of each that was measured. differences: the largest of each, in standard
    deviations of torch's logits. refused: why others were not measured, or may not be chosen.
    """

    name: str
    module: nn.Module
    seconds: Mapping[str, float]
    differences: Mapping[str, float]
    refused: Mapping[str, str]


@dataclass(frozen=True)
class _Verdict:
    """A choice without the network, as it is kept."""

    name: str
    seconds: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Contest:
    """network: as `prepare_torch` gives it. wanted: what the candidates are made ready for.

    torch_share: as of `choose`.
    """

    network: nn.Module
    wanted: Wanted
    torch_share: float = 1.0

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.network.parameters(), torch.empty(0)).device

    def ready(self, name: str) -> nn.Module:
        """The network with that runtime; BackendError."""
        require_usable(self.network, name)
        return start(name, self.network, self.wanted)


def choose(
    model: nn.Module,
    names: Sequence[str] | Literal["auto"] = "auto",
    *,
    in_channels: int,
    tile: Size,
    threads: int | None = None,
    megapixels: float | None = None,
    torch_share: float = 1.0,
) -> Choice:
    """The network with the fastest of these runtimes that gives torch's numbers.

    names: "auto" for those that are installed, exact and for the network's device; torch wherever no other
    can be used. tile: the size of most images. threads: for one image; None: all cores. megapixels: how much
    there is to compute. Of little, torch computes it and nothing is measured; only of very much the compiler
    is tried, and of an unknown amount (None) it is not. torch_share: what torch computes of a tile, where it
    computes only what is needed (`tiling.demand`); runtimes compute all of it.

    What was measured is kept for networks of the same structure, per machine and versions, unless a runtime
    failed that may work another time; that the numbers are right is tried for each network. Raises
    BackendError if `names` has none that can be used.
    """
    network = prepare_torch(model, in_channels)
    contest = _Contest(network, Wanted(in_channels, tile, threads or threads_each()), round(torch_share, 2))
    wanted = tuple(names)
    if names == "auto":
        work = _expected(contest) * (megapixels or 0.0) * contest.torch_share
        if megapixels is not None and work < _WORTH_A_LOOK:
            return _choice(_Verdict("torch"), contest.ready("torch"))
        wanted = tuple(
            name
            for name in available(contest.device)
            if name in EXACT and (name != "compile" or work > _WORTH_COMPILING)
        )
    file = _file(contest, wanted)
    if (known := _read(file)) is not None:
        with contextlib.suppress(BackendError):  # these weights, or this machine today: measure again
            return _choice(known, contest.ready(known.name))
    modules, refused, passing = _made_ready(contest, wanted)
    verdict = _measured(contest, modules, refused)
    if not passing:
        _keep(file, verdict)
    return _choice(verdict, modules[verdict.name])


def _made_ready(
    contest: _Contest, wanted: Sequence[str]
) -> tuple[dict[str, nn.Module], dict[str, str], bool]:
    """What got ready, why others did not, and whether one of these may do so another time."""
    modules: dict[str, nn.Module] = {}
    refused: dict[str, str] = {}
    passing, possible = False, available(contest.device)
    for name in wanted:
        try:
            modules[name] = contest.ready(name)
        except BackendError as error:
            refused[name] = error.found
            # such as a converter that ran out of time on a busy machine
            passing |= name in possible and not isinstance(error, UnsuitableError)
    return modules, refused, passing


def _measured(contest: _Contest, modules: dict[str, nn.Module], refused: dict[str, str]) -> _Verdict:
    """The verdict; those with other numbers go from `modules` to `refused`. BackendError if none is left."""
    if modules.keys() <= {"torch"}:  # nothing to measure
        return _only(modules, refused)
    # what is compiled is compiled for one size
    size = contest.wanted.tile if "compile" in modules else _trial_size(contest)
    image = _image(contest, size)
    agreements = agreements_of(modules, contest.network, image)
    for name, found in agreements.items():
        if found.difference > _CLOSE or found.same_class < _SAME_CLASS:
            refused[name] = f"logits that differ by {found.difference:.1e} deviations from torch's"
            del modules[name]
    if not modules:
        return _only(modules, refused)
    raced = race(modules, image, seconds=_MEASURED, rounds=_ROUNDS)
    times = {name: took * (contest.torch_share if name == "torch" else 1) for name, took in raced.items()}
    fastest = min(times, key=lambda name: times[name])
    if times.get("torch", float("inf")) * _GAIN < times[fastest]:
        fastest = "torch"
    megapixels = size.height * size.width / 1e6
    return _Verdict(
        fastest,
        {name: seconds / megapixels for name, seconds in times.items()},
        {name: found.difference for name, found in agreements.items()},
        refused,
    )


def _only(modules: Mapping[str, nn.Module], refused: dict[str, str]) -> _Verdict:
    """Where at most torch is left."""
    if modules:
        return _Verdict("torch", refused=refused)
    raise BackendError(
        found="; ".join(f"{name}: {reason}" for name, reason in refused.items()) or "no backend",
        expected="one that can compute the network",
        fix="add torch, which can",
    )


def _trial_size(contest: _Contest) -> Size:
    """A size that torch computes in `_ONE` seconds: the tile, or a smaller multiple of the network's."""
    multiple = multiple_of(contest.network)
    first = 2 * trial_side(contest.network)
    image = _image(contest, Size(first, first))
    took = race({"torch": contest.network}, image, seconds=0.0, rounds=1)["torch"]
    # in whole squares of the network
    fits, whole = (int(side) // multiple for side in (first * (_ONE / took) ** 0.5, min(contest.wanted.tile)))
    side = max(min(fits, whole) * multiple, trial_side(contest.network))
    return Size(side, side)


def _image(contest: _Contest, size: Size) -> Tensor:
    return noise(1, contest.wanted.in_channels, *size).to(contest.device)


def _expected(contest: _Contest) -> float:
    """Seconds that torch may need for a megapixel."""
    device = contest.device.type
    rate = _RATE.get(device, _RATE["cuda"]) * (contest.wanted.threads if device == "cpu" else 1)
    return 4 * multiply_adds(contest.network, contest.wanted.in_channels, Size(512, 512)) / rate


def _choice(verdict: _Verdict, module: nn.Module) -> Choice:
    return Choice(verdict.name, module, verdict.seconds, verdict.differences, verdict.refused)


def _file(contest: _Contest, wanted: Sequence[str]) -> Path | None:
    """Where the verdict on networks of this structure is kept; None without a place for it."""
    packages = [package for name in wanted for package in packages_of(name)]
    known = [
        _processor(contest.device),
        versions_of(("uvala", "torch", *packages)),
        structure_of(contest.network),
        sorted(wanted),
        contest.wanted.tile,
        contest.wanted.threads,
        contest.torch_share,
    ]
    name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
    try:
        return cache_folder() / "choices" / f"{name}.json"
    except RuntimeError:
        return None


def _processor(device: torch.device) -> list[str]:
    """What of the machine decides who is fast."""
    if device.type == "cuda":
        return [torch.cuda.get_device_name(device)]
    model = platform.processor()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line
                break
    capability = torch.backends.cpu.get_cpu_capability()
    return [platform.machine(), model, capability, str(usable_cores())]


def _read(file: Path | None) -> _Verdict | None:
    if file is None:
        return None
    try:
        verdict = _Verdict(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return verdict if verdict.name in NAMES else None


def _keep(file: Path | None, verdict: _Verdict) -> None:
    """Without a place for it, it is measured again the next time."""
    if file is None:
        return
    with contextlib.suppress(StorageError, OSError):
        write_json(file, asdict(verdict))
        kept = sorted(file.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)
        for old in kept[:-_KEPT]:
            old.unlink(missing_ok=True)
