"""Checkpoint files: only tensors and plain values are read, wrappers and prefixes are taken off."""

import argparse
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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


def _known_as(module: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` by the name that it has in `module`."""

    def alias(*values: Any) -> Any:
        return function(*values)

    alias.__module__, alias.__qualname__, alias.__name__ = module, function.__name__, function.__name__
    return alias


_NUMPY_SCALAR: Any = np.float64(0).__reduce__()[0]
# nnU-Net's checkpoints carry scores as numbers of numpy. Those are made of a dtype and of bytes: neither runs
# code of a file, and torch refuses whatever is not named. numpy 1 and 2 have the first in different modules,
# and a file names that of its writer.
_HARMLESS: list[Any] = [
    _known_as("numpy.core.multiarray", _NUMPY_SCALAR),
    _known_as("numpy._core.multiarray", _NUMPY_SCALAR),
    argparse.Namespace,  # the arguments of a script, which torchvision's references save; a bag of values
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bhilqBHILQefd"),
]


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a network by their keys, and whatever else lay beside them.

    outside: keys of tensors that lay beside the network, such as those of a loss.
    """

    tensors: dict[str, Tensor]
    extras: dict[str, Any]
    outside: tuple[str, ...] = ()


def read_checkpoint(path: str | Path) -> Checkpoint:
    """The tensors of a .safetensors file or of a file of torch.save; WeightsError if it holds none.

    Files of torch.save are read with weights_only=True: no code of theirs runs.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "which is not there"
        raise WeightsError(found=f"{path}, {kind}", expected="the file of a checkpoint", fix="check the path")
    return unwrap(_load(path), where=str(path))


def unwrap(content: Any, where: str = "the state_dict") -> Checkpoint:
    """What a checkpoint holds, without the dictionaries and prefixes that trainers put around it."""
    extras: dict[str, Any] = {}
    while isinstance(content, Mapping) and (inner := _wrapper(content)):
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
    outside: list[str] = []
    while prefix := next((each for each in PREFIXES if _prevails(each, tensors)), None):
        outside += [key for key in tensors if not key.startswith(prefix)]
        tensors = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
    return Checkpoint(tensors, extras, tuple(outside))


def _prevails(prefix: str, keys: Iterable[str]) -> bool:
    """Whether a network lies under that prefix: most keys have it; a loss or a metric may lie beside it."""
    having = [key.startswith(prefix) for key in keys]
    return sum(having) > len(having) / 2


def _wrapper(content: Mapping[Any, Any]) -> str | None:
    """The name under which the weights lie; one with tensors goes before one with settings."""
    names = [name for name in WRAPPERS if isinstance(content.get(name), Mapping)]
    full = [name for name in names if any(isinstance(value, Tensor) for value in content[name].values())]
    return next(iter(full + names), None)


def _load(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors" or _begins_as_safetensors(path):
            return load_file(path)
        with torch.serialization.safe_globals(_HARMLESS), warnings.catch_warnings():
            # of TorchScript and of old pickles, which are refused below with more to go on
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, EOFError) as error:
        raise _unreadable(path, str(error) or "it ends too soon") from error
    except Exception as error:
        # a pickle is a program: where a file is damaged, any of its steps may fail in any way
        unknown = (
            re.search(r"GLOBAL (\S+)", str(error)) if isinstance(error, pickle.UnpicklingError) else None
        )
        kind = unknown[1] if unknown else "a TorchScript program" if "TorchScript" in str(error) else None
        if kind is None:
            why = (
                str(error).partition(". ")[0]
                if isinstance(error, RuntimeError)
                else f"it begins with {_beginning(path)}"
            )
            raise _unreadable(path, why) from error
        raise WeightsError(
            found=f"{path}, which holds more than tensors and plain values: {kind}",
            expected="a state_dict, which can be read without running code from the file",
            fix="where it was trained, save it again: torch.save(model.state_dict(), 'weights.pth')",
        ) from error


def _begins_as_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"  # after the length of its header, which is JSON


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return repr(file.read(16))[1:]


def _unreadable(path: Path, why: str) -> WeightsError:
    return WeightsError(
        found=f"{path}, which cannot be read ({why})",
        expected="a .safetensors file or one of torch.save",
        fix="if it is the right file, copy it again; its size should be that of the original",
    )


def _describe(content: Any) -> str:
    if isinstance(content, Mapping):
        names = ", ".join(str(key) for key in list(content)[:5])
        return f"no tensors, but {names or 'nothing'}"
    return f"a {type(content).__name__}"
