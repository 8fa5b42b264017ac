"""Checkpoint files: only tensors and plain values are read, wrappers and prefixes are taken off."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from uvala.errors import WeightsError

__all__ = ["Checkpoint", "read_checkpoint", "unwrap"]

# under which trainers put the weights: Lightning and many scripts; MONAI, nnU-Net; torchvision's references
WRAPPERS = ("state_dict", "model_state_dict", "network_weights", "model", "net", "network", "weights", "ema")
# DataParallel; torch.compile; Lightning modules that hold the network
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a network by their keys, and whatever else lay beside them."""

    tensors: dict[str, Tensor]
    extras: dict[str, Any]


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The tensors of a .safetensors file or of a file of torch.save; WeightsError if it holds none.

    Files of torch.save are read with weights_only=True: no code of theirs runs.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise WeightsError(found=f"no file {path}", expected="a checkpoint", fix="check the path")
    return unwrap(_load(path), where=str(path))


def unwrap(content: Any, where: str = "the state_dict") -> Checkpoint:
    """What a checkpoint holds, without the dictionaries and prefixes that trainers put around it."""
    extras: dict[str, Any] = {}
    while isinstance(content, Mapping) and not any(isinstance(value, Tensor) for value in content.values()):
        inner = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        extras |= {str(key): value for key, value in content.items() if key != inner}
        content = content[inner]
    values = dict(content) if isinstance(content, Mapping) else {}
    tensors = {str(key): value for key, value in values.items() if isinstance(value, Tensor)}
    extras |= {str(key): value for key, value in values.items() if not isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(
            found=f"{where}, which holds {_describe(content)}",
            expected="the tensors of a network by their names, as `state_dict()` gives them",
            fix="save `model.state_dict()` rather than the model, with the code that trained it",
        )
    while prefix := next((each for each in PREFIXES if all(key.startswith(each) for key in tensors)), None):
        tensors = {key.removeprefix(prefix): value for key, value in tensors.items()}
    return Checkpoint(tensors, extras)


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, str(error)) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            found=f"{path}, which holds more than tensors and plain values",
            expected="a state_dict, which can be read without running code from the file",
            fix="where it was trained, save it again: torch.save(model.state_dict(), 'weights.pth')",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise _unreadable(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error


def _unreadable(path: Path, why: str) -> WeightsError:
    return WeightsError(
        found=f"{path}, which cannot be read ({why})",
        expected="a .safetensors file or one of torch.save",
        fix="copy the file again; its size should be that of the original",
    )


def _describe(content: Any) -> str:
    if isinstance(content, Mapping):
        names = ", ".join(str(key) for key in list(content)[:5])
        return f"no tensors, but {names or 'nothing'}"
    return f"a {type(content).__name__}"
