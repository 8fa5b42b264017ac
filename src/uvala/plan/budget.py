"""Time: written by people, kept by the training."""

import math
import re
import time

from uvala.errors import BudgetError

__all__ = ["DEFAULT", "LEAST", "Clock", "format_duration", "parse_duration"]

DEFAULT = "10m"
"""Time of a training for which nobody said how long."""

LEAST = 10
"""Shortest budget in seconds. Starting torch, reading the data and scoring the result take about eight."""

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}


def parse_duration(text: str | float) -> float:
    """Seconds in '10m', '90s', '1h30m', '2.5h' or a plain number of seconds; BudgetError otherwise."""
    if isinstance(text, int | float):
        seconds = float(text)
    else:
        compact = str(text).strip().lower().replace(" ", "")
        parts = re.findall(r"(\d+(?:\.\d+)?)(d|h|min|m|s|)", compact)
        if not parts or "".join(number + unit for number, unit in parts) != compact:
            raise BudgetError(
                found=f"budget '{text}'",
                expected="a duration such as 90s, 10m or 1h30m",
                fix="write a number with one of the units d, h, m, s",
            )
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not math.isfinite(seconds):
        raise BudgetError(
            found=f"a budget of {seconds}", expected="an end", fix="give a time, such as 10m or 7d"
        )
    if seconds < LEAST:
        raise BudgetError(
            found=f"a budget of {format_duration(seconds)}",
            expected=f"at least {LEAST:.0f} s, since starting, reading and scoring alone take most of that",
            fix="give more time; 90s is the shortest from which a useful model can be hoped for",
        )
    return seconds


def format_duration(seconds: float) -> str:
    """Seconds for people: '42 s', '9 min 05 s', '2 h 10 min'."""
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Clock:
    """Wall-clock time of one command, from its first moment; a resumed one goes on where it was."""

    def __init__(self, budget: float | None, *, started: float | None = None, used: float = 0.0) -> None:
        self.budget = budget
        self._started = (time.monotonic() if started is None else started) - used

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning, those before a resume included."""
        return time.monotonic() - self._started

    @property
    def remaining(self) -> float:
        """Seconds left; infinite without a budget."""
        return float("inf") if self.budget is None else self.budget - self.elapsed

    def of_each(self, parts: int) -> "Clock":
        """The clock of one of several trainings that share evenly what remains."""
        if self.budget is None or parts == 1:
            return self
        elapsed = self.elapsed
        return Clock(elapsed + (self.budget - elapsed) / parts, used=elapsed)
