"""Which of several processes this one is, as torchrun and its like say in the environment; no torch."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from uvala.errors import ConfigError

__all__ = ["Place", "read_place"]

_NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """rank: of `size` processes. local_rank: among those of its machine.

    Rank 0 is the only one that writes files and speaks.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0


def read_place(environment: Mapping[str, str] | None = None) -> Place:
    """The place that torchrun's variables name; the only process if there are none.

    ConfigError for variables that are missing, no numbers, or contradict each other.
    """
    variables = os.environ if environment is None else environment
    if not any(name in variables for name in ("RANK", "WORLD_SIZE")) or _is_one(variables):
        return Place()
    missing = [name for name in _NEEDED if not variables.get(name)]
    if missing:
        raise ConfigError(
            found=f"{' and '.join(sorted({'RANK', 'WORLD_SIZE'} - set(missing)))} in the environment, "
            f"but no {', '.join(missing)}",
            expected="all that torchrun sets, or nothing",
            fix="start with torchrun, or unset RANK and WORLD_SIZE for a training in one process",
        )
    rank, size, local_rank = (_number(variables, name) for name in _NEEDED[:3])
    if not (0 <= local_rank <= rank < size):
        raise ConfigError(
            found=f"RANK={rank}, LOCAL_RANK={local_rank} and WORLD_SIZE={size} in the environment",
            expected="0 <= LOCAL_RANK <= RANK < WORLD_SIZE",
            fix="start with torchrun, or unset RANK and WORLD_SIZE for a training in one process",
        )
    return Place(rank, size, local_rank)


def _is_one(variables: Mapping[str, str]) -> bool:
    """Whether one process was started: it needs no others, and hence no address."""
    return variables.get("WORLD_SIZE") == "1" and variables.get("RANK", "0") == "0"


def _number(variables: Mapping[str, str], name: str) -> int:
    try:
        return int(variables[name])
    except ValueError as error:
        raise ConfigError(
            found=f"{name}={variables[name]} in the environment",
            expected="a whole number",
            fix="start with torchrun, or unset RANK and WORLD_SIZE for a training in one process",
        ) from error
