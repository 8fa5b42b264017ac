"""All that a resume needs in one safetensors file: weights, the optimiser's moments, progress."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from uvala.config import Config
from uvala.errors import RunError
from uvala.files import write_bytes

__all__ = ["Progress", "load_checkpoint", "read_progress", "save_checkpoint"]


class Progress(Config):
    """Where a training is."""

    step: int = Field(0, ge=0, description="steps done")
    share: float = Field(0.0, ge=0, le=1, description="share of the training done, by time or by steps")
    seconds: float = Field(0.0, ge=0, description="wall-clock time used so far")
    best_step: int = Field(0, description="step of the best weights")
    best_dice: float | None = Field(None, description="validation Dice of the best weights")
    best_score: float | None = Field(
        None, description="what they were chosen by: that Dice, and how well objects are told apart"
    )
    validated: int = Field(0, ge=0, description="images that each validation looks at; 0: not decided yet")
    waited: float = Field(0.0, ge=0, description="seconds spent waiting for data")
    scale: float | None = Field(None, description="scale of the loss in float16 training")


def save_checkpoint(
    path: Path, models: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write everything to `path`, whole or not at all. models: networks by a name of your choice."""
    tensors: dict[str, Tensor] = {
        f"{name}.{key}": value for name, model in models.items() for key, value in model.state_dict().items()
    }
    state = optimiser.state_dict()
    for index, values in state["state"].items():
        tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(value) for key, value in values.items()}
    plain = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    metadata = {"progress": progress.model_dump_json(), "groups": json.dumps(state["param_groups"])}
    write_bytes(path, save(plain, metadata))


def load_checkpoint(
    path: Path, models: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer
) -> Progress:
    """Fill `models` and `optimiser` from `path`; where the training was. RunError if that is impossible."""
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata()
            tensors = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 - not a dict
        for name, model in models.items():
            model.load_state_dict(_below(f"{name}.", tensors))
        moments: dict[int, dict[str, Any]] = {}
        for key, value in _below("optimiser.", tensors).items():
            index, _, name = key.partition(".")
            moments.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({"state": moments, "param_groups": json.loads(metadata["groups"])})
        return Progress.model_validate_json(metadata["progress"])
    except (SafetensorError, RuntimeError, KeyError, ValueError, OSError) as error:
        raise _unusable(path, error) from error


def read_progress(path: Path) -> Progress:
    """Where the training of a checkpoint is; the very beginning if it was cut off before its first one."""
    if not path.is_file():
        return Progress()
    try:
        with safe_open(path, framework="pt") as stored:
            return Progress.model_validate_json(stored.metadata()["progress"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise _unusable(path, error) from error


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _unusable(path: Path, error: Exception) -> RunError:
    return RunError(
        found=f"{path}, from which the training cannot go on ({str(error).splitlines()[0]})",
        expected="the checkpoint of the plan in the same folder",
        fix="train anew with another --out",
    )
