"""Decisions about the arithmetic, by what was measured: they change the speed and not what is learnt."""

from dataclasses import replace

from uvala.errors import ConfigError
from uvala.models.layout import Layout
from uvala.plan.choices import Choices
from uvala.plan.decisions.candidates import candidate_of
from uvala.plan.decisions.resolution import cheap_candidate
from uvala.plan.prices import Prices
from uvala.plan.situation import Situation

__all__ = ["choose_compile", "choose_memory_format", "choose_precision"]

_WORTH = 0.97  # of the time, at most, that another format must take: less than that is noise
_WORTH_HALF = 0.9  # half precision has eight bits for each number, and must be worth that
_DISTURBED = 0.8  # above this, a format that should take half of the time met something else at work
_FORMATS: dict[str, Layout] = {"cpu": "mixed", "cuda": "channels_last"}  # usually the fastest there
_COMPILING = 60.0  # seconds that torch.compile takes, about
_COMPILING_SHARE = 0.02  # of the budget, at most


def choose_memory_format(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """The order of a tensor's numbers that makes a step shortest."""
    path = "execution.memory_format"
    if not choices.open(path):
        return
    usual = _FORMATS.get(case.machine.kind)
    if usual is None:
        return
    if prices is None:
        choices.choose(path, usual, f"the fastest on most machines with a {case.machine.kind}")
        return
    candidate = cheap_candidate(choices, case)
    plain, other = replace(candidate, memory_format="contiguous"), replace(candidate, memory_format=usual)
    less, seconds = prices.seconds(other, exactly=True), prices.seconds(plain, exactly=True)
    if plain not in prices.measured:
        choices.choose(path, usual, f"usually the fastest on a {case.machine.kind}; no time to compare")
        return
    found = f"{usual.replace('_', ' ')} {1000 * less:.0f} ms, contiguous {1000 * seconds:.0f} ms"
    reason = f"a step of {candidate.batch} patches on this machine: {found}"
    choices.choose(path, usual if less < _WORTH * seconds else "contiguous", reason)


def choose_precision(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """Half precision on a CPU that multiplies it in hardware and is clearly faster with it."""
    path = "precision"
    if prices is None or not choices.open(path) or not case.machine.bfloat16:
        return
    full = cheap_candidate(choices, case)
    half = replace(full, precision="bfloat16")
    seconds, less = (prices.seconds(each, exactly=True) for each in (full, half))
    if half in prices.measured and less > _DISTURBED * seconds:
        # without it a training makes half the steps: worth a second look, at both
        seconds, less = (prices.seconds(each, again=True) for each in (full, half))
    if half in prices.measured and less < _WORTH_HALF * seconds:
        found = f"{1000 * less:.0f} ms for {half.batch} patches, {1000 * seconds:.0f} ms in float32"
        choices.choose(path, "bfloat16", f"this CPU multiplies it in hardware: {found}")


def choose_compile(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """Whether torch.compile makes steps shorter, where there is time to find out.

    ConfigError if the user wants it and it fails here.
    """
    path = "execution.compile"
    if prices is not None and choices[path] and (trouble := prices.trouble):
        raise ConfigError(
            found=f"{path} = true, where torch.compile fails ({trouble})",
            expected="a machine with what it needs, such as a C++ compiler, or on a GPU Triton",
            fix=f"leave {path} out",
        )
    if prices is None or case.budget is None or not choices.open(path) or case.machine.kind != "cuda":
        return  # on CPUs it was slower wherever it was measured
    if _COMPILING_SHARE * case.budget < _COMPILING:
        return
    candidate = candidate_of(choices, case).part
    plain = prices.seconds(candidate, exactly=True)
    cost = prices.measure(replace(candidate, compile=True), _COMPILING)
    if cost.trouble:
        choices.choose(path, False, f"torch.compile fails on this machine: {cost.trouble}")
        return
    compiled = cost.seconds
    better = compiled < _WORTH * plain
    choices.choose(path, better, f"{1000 * compiled:.0f} ms a step with it, {1000 * plain:.0f} ms without")
