"""All that a resume needs in one safetensors file, of which the last two are kept.

Tensors: the network, its average, the weights to fall back on (the best so far, or the first ones), the
optimiser's moments. In its header: `Progress`, and a checksum over the tensors.
"""

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from uvala.errors import RunError, UvalaError
from uvala.files import storage_errors, write_with
from uvala.log import Event
from uvala.runs.folder import RunFolder
from uvala.training.progress import Progress
from uvala.training.tensor_file import checksum, write_tensors

__all__ = [
    "State",
    "events_to_keep",
    "newest_state",
    "pack_state",
    "read_progress",
    "unpack_state",
    "write_state",
]


@dataclass(frozen=True, eq=False)
class State:
    """What a checkpoint holds. The tensors are those of the training itself, valid until its next step."""

    tensors: Mapping[str, Tensor]
    about: Mapping[str, str]

    def write(self, stream: IO[bytes]) -> None:
        """Write it as safetensors, a tensor at a time, with a checksum in the header."""
        # the header comes first, so the tensors are gone through twice: cheaper than to hold copies of them
        write_tensors(stream, self.tensors, {**self.about, "checksum": str(checksum(self.tensors))})


def pack_state(
    models: Mapping[str, nn.Module],
    good: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    progress: Progress,
) -> State:
    """The content of a checkpoint, of which nothing is copied yet.

    models: networks by a name of your choice, without a dot, but for "good" and "optimiser". good: a state
    dict to fall back on.
    """
    states = {**{name: model.state_dict() for name, model in models.items()}, "good": good}
    tensors = {f"{name}.{key}": value for name, state in states.items() for key, value in state.items()}
    moments = optimiser.state_dict()
    for index, values in moments["state"].items():
        for key, value in values.items():
            if value is not None:  # the momentum of SGD before its first step
                tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value)
    about = {"progress": progress.model_dump_json(), "groups": json.dumps(moments["param_groups"])}
    return State(tensors, about)


def write_state(run: RunFolder, state: State) -> None:
    """Keep `state` as the newest checkpoint, and the one before as the previous; StorageError.

    Whenever this is cut off, what was written last lies whole in one of the three places.
    """
    fresh, newest, previous = _places(run)
    write_with(fresh, state.write)
    with storage_errors(newest):
        if newest.is_file():
            newest.replace(previous)
        fresh.replace(newest)


def newest_state(run: RunFolder) -> tuple[bytes | None, str]:
    """The content of the newest checkpoint that is whole, None if there is none; and a warning, or "".

    RunError if there are checkpoints of which none can be used.
    """
    problems: list[tuple[Path, str]] = []
    for path in _places(run):
        try:
            content = path.read_bytes()
            _check(content)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, SafetensorError) as error:
            problems.append((path, str(error).partition("\n")[0]))
        else:
            said = "; ".join(f"{broken} is damaged ({why})" for broken, why in problems)
            return content, f"{said}: the checkpoint before it is used" if said else ""
    if problems:
        raise _unusable(*problems[0])
    return None, ""


def unpack_state(
    content: bytes, models: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer, path: Path
) -> tuple[Progress, dict[str, Tensor]]:
    """Fill `models` and `optimiser`; where the training was, and the weights to fall back on.

    The latter are laid out in memory, and on the device, as those of the first of `models`. RunError if the
    content is not of such a training. path: where it comes from, for that message.
    """
    try:
        metadata, tensors = _metadata(content), load(content)
        for name, model in models.items():
            model.load_state_dict(_below(name, tensors))
        moments: dict[int, dict[str, Any]] = {}
        for key, value in _below("optimiser", tensors).items():
            index, _, name = key.partition(".")
            moments.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict({"state": moments, "param_groups": json.loads(metadata["groups"])})
        _lay_out_like_weights(optimiser)
        like, good = next(iter(models.values())).state_dict(), _below("good", tensors)
        good = {key: torch.empty_like(value).copy_(good[key]) for key, value in like.items()}
        return Progress.model_validate_json(metadata["progress"]), good
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise _unusable(path, str(error).partition("\n")[0]) from error


def read_progress(run: RunFolder) -> Progress:
    """Where the training of a run is; the very beginning if it was cut off before its first checkpoint."""
    content, _ = newest_state(run)
    if content is None:
        return Progress()
    try:
        return Progress.model_validate_json(_metadata(content)["progress"])
    except (KeyError, ValueError) as error:
        raise _unusable(run.checkpoint_path, str(error).partition("\n")[0]) from error


def events_to_keep(events: Iterable[Event], progress: Progress) -> Iterator[Event]:
    """Of the events of a training that was cut off, those that its resume will not say again.

    The log may be ahead of the checkpoint: of steps, of a validation that was said but not yet kept, and of
    what follows the training. Warnings stay if they are of a step before.
    """
    validations = 0
    for event in events:
        kind = event["event"]
        if event.get("step", 0) > progress.step or kind in ("cache", "tuned", "end") or event.get("extra"):
            continue
        validations += kind == "validation"
        again = kind == "validation" and validations > progress.validations
        if not again and not (kind == "warning" and "step" not in event):
            yield event


def _places(run: RunFolder) -> tuple[Path, Path, Path]:
    """Where checkpoints lie, the newest first; in the first of them only between two renames."""
    newest = run.checkpoint_path
    return newest.with_name("state.new.safetensors"), newest, run.previous_checkpoint_path


def _check(content: bytes) -> None:
    """ValueError or SafetensorError unless the content is as it was written."""
    if _metadata(content).get("checksum") != str(checksum(load(content))):
        raise ValueError("its checksum is wrong")


def _metadata(content: bytes) -> dict[str, str]:
    """What stands in the header of safetensors: its length in 8 bytes, then JSON."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        return dict(json.loads(content[8 : 8 + length])["__metadata__"])
    except (struct.error, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError("its header is not that of a checkpoint") from error


def _below(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that were packed under a name, by their own names."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _lay_out_like_weights(optimiser: torch.optim.Optimizer) -> None:
    """Order the moments in memory as their weights are: a fused optimiser walks along both at once."""
    for parameter, state in optimiser.state.items():
        for key, value in state.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                state[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _unusable(path: Path, why: str) -> UvalaError:
    return RunError(
        found=f"{path}, from which the training cannot go on ({why})",
        expected="the checkpoint of the plan in the same folder",
        fix="train anew with another --out",
    )
