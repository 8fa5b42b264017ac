"""The run folder: plan, card, weights, split, log, checkpoint, scores and report."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from uvala.config import build
from uvala.data.facts import Facts
from uvala.data.splits import Split
from uvala.errors import RunError, StorageError, UvalaError, did_you_mean
from uvala.files import claim_folder, write_bytes, write_json
from uvala.models.catalog import create_model, without_pretrained
from uvala.plan.schema import Plan, read_plan
from uvala.runs.card import FORMAT, READABLE, Card

__all__ = ["RunFolder", "create_run", "open_run", "pick_device"]

_DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class RunFolder:
    """A folder that holds a training and its result. The properties read; the methods write."""

    path: Path

    @property
    def log_path(self) -> Path:
        """Events of the training, a JSON object a line."""
        return self.path / "log.jsonl"

    @property
    def report_path(self) -> Path:
        """The page about this run."""
        return self.path / "report.html"

    @property
    def scores_path(self) -> Path:
        """Scores of the last evaluation inside the training."""
        return self.path / "scores.json"

    @property
    def plan_path(self) -> Path:
        """Every setting, with its reason."""
        return self.path / "plan.toml"

    @property
    def checkpoint_path(self) -> Path:
        """All that a resume needs."""
        return self.path / "checkpoint" / "state.safetensors"

    @property
    def previous_checkpoint_path(self) -> Path:
        """The same as it was a minute before, should the disk damage the newest."""
        return self.path / "checkpoint" / "state.previous.safetensors"

    @property
    def start_path(self) -> Path:
        """The weights that a training from other weights began with."""
        return self.path / "checkpoint" / "start.safetensors"

    @property
    def weights_path(self) -> Path:
        """The best weights so far."""
        return self.path / "model.safetensors"

    @cached_property
    def plan(self) -> Plan:
        """The plan that this run was trained by."""
        return read_plan(self.plan_path)

    @property
    def card(self) -> Card:
        """The model card; RunError if it is damaged or of another version."""
        return _read_card(self.path)

    @cached_property
    def split(self) -> Split:
        """Which images this run trained on, validated on and never looked at."""
        return build(Split, _read_json(self.path / "split.json"), where=str(self.path / "split.json"))

    @cached_property
    def folds(self) -> tuple[Split, ...]:
        """The split of each fold, in order; none: the run has no folds, or did not write them down."""
        path = self.path / "folds.json"
        return (
            tuple(build(Split, each, where=str(path)) for each in _read_json(path)) if path.is_file() else ()
        )

    def write_folds(self, splits: Sequence[Split]) -> None:
        """Write folds.json."""
        write_json(self.path / "folds.json", [split.model_dump(mode="json") for split in splits])

    @property
    def chosen_members(self) -> tuple["RunFolder", ...]:
        """Of the card's members, the runs whose predictions are averaged, those with chosen weights.

        None: the run has its own, or no validation has chosen any yet.
        """
        inner = [RunFolder(self.path / name) for name in self.card.members]
        return tuple(run for run in inner if run.has_chosen_weights)

    @cached_property
    def contents(self) -> dict[str, str]:
        """A hash of the pixels of each image, by name: images are known again by what they show."""
        path = self.path / "images.json"
        return dict(_read_json(path)) if path.is_file() else {}

    @cached_property
    def mask_contents(self) -> dict[str, str]:
        """A hash of the values of each mask, by the name of its image; empty in runs of before."""
        path = self.path / "masks.json"
        return dict(_read_json(path)) if path.is_file() else {}

    def write_contents(self, images: Mapping[str, str], masks: Mapping[str, str]) -> None:
        """Write images.json and masks.json."""
        write_json(self.path / "images.json", dict(images))
        write_json(self.path / "masks.json", dict(masks))

    def write_card(self, card: Card) -> None:
        """Write card.json, in this version's format whatever the card was read from."""
        current = card.model_copy(update={"format": FORMAT})
        write_json(self.path / "card.json", current.model_dump(mode="json"))

    def write_facts(self, facts: Facts) -> None:
        """Write facts.json: what the training images and masks are like."""
        write_json(self.path / "facts.json", facts.model_dump(mode="json"))

    def write_split(self, split: Split) -> None:
        """Write split.json."""
        write_json(self.path / "split.json", split.model_dump(mode="json"))

    @property
    def weights_step(self) -> int | None:
        """The training step of model.safetensors; None if it has none, cannot be read or is not there."""
        try:
            return int(self._said_of_weights()["step"])
        except (OSError, SafetensorError, KeyError, ValueError):
            return None

    @property
    def has_chosen_weights(self) -> bool:
        """Whether there are weights, and not only those of a stop that came before the first validation."""
        try:
            return self._said_of_weights().get("chosen") != "no"
        except FileNotFoundError:
            return False
        except (OSError, SafetensorError):
            return True  # damaged: whoever loads them says so

    def _said_of_weights(self) -> dict[str, str]:
        """What the header of model.safetensors says besides the tensors."""
        with safe_open(self.weights_path, framework="pt") as stored:
            return stored.metadata() or {}

    def write_weights(
        self, state: Mapping[str, Tensor], *, step: int | None = None, chosen: bool = True
    ) -> None:
        """Write model.safetensors; step: of the training that made these weights.

        chosen: whether they are the best of a training, and not only those at which it was stopped.
        """
        plain = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        said = ({} if step is None else {"step": str(step)}) | ({} if chosen else {"chosen": "no"})
        write_bytes(self.weights_path, save(plain, said or None))

    def clear_leftovers(self) -> None:
        """Remove what a process that was killed has left: files written in part, trials."""
        for folder in (self.path, self.checkpoint_path.parent):
            for part in folder.glob(".*.part"):
                if part.is_dir():
                    shutil.rmtree(part, ignore_errors=True)
                else:
                    part.unlink(missing_ok=True)

    def write_start(self, state: Mapping[str, Tensor]) -> None:
        """Write the weights that the training begins with."""
        plain = {key: value.detach().cpu().contiguous() for key, value in state.items()}
        write_bytes(self.start_path, save(plain))

    @property
    def start(self) -> dict[str, Tensor] | None:
        """The weights that the training began with; None: fresh ones."""
        return load_file(self.start_path) if self.start_path.is_file() else None

    def model(self, device: str | torch.device = "cpu") -> nn.Module:
        """The network with its best weights, in eval mode; RunError if they are missing or do not fit."""
        card = self.card
        network = card.network
        if card.members:
            raise RunError(
                found=f"{self.path}, the average of {len(card.members)} networks",
                expected="a run with one network",
                fix=f"give one of them, such as {self.path / card.members[0]}",
            )
        if not self.weights_path.is_file():
            raise RunError(
                found=f"{self.path}, whose training stopped before its first validation",
                expected=f"weights in {self.weights_path.name}",
                fix="go on with `uvala train DATA --out RUN --resume`",
            )
        model = create_model(
            network.name,
            in_channels=network.in_channels,
            num_classes=network.logits or network.num_classes,
            **without_pretrained(network.options),
        )
        try:
            model.load_state_dict(load_file(self.weights_path))
        except (SafetensorError, RuntimeError, OSError) as error:
            raise RunError(
                found=f"{self.weights_path}, which does not fit card.json ({str(error).splitlines()[0]})",
                expected=f"the weights of {network.name} with the options of card.json",
                fix="take both files from the same training",
            ) from error
        return model.eval().to(device)


def create_run(path: Path) -> RunFolder:
    """A new run folder; StorageError if the place is taken, by another run or by anything else."""
    if (path / "card.json").is_file():
        raise StorageError(
            found=f"{path}, which holds another run",
            expected="a new or empty folder",
            fix="choose another --out, or go on with that run by --resume",
        )
    claim_folder(path, purpose="the run")
    return RunFolder(path)


def open_run(path: str | Path) -> RunFolder:
    """The run in a folder; RunError if there is none or it cannot be used."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
        near = [each.name for each in beside if any(each.glob("card.json"))]  # closed folders have none
        raise RunError(
            found=f"{folder}, which is a file" if folder.exists() else f"no folder {folder}",
            expected="a run folder, made by `uvala train` or `uvala import-weights`",
            fix=did_you_mean(folder.name, near) if near else "check the path",
        )
    _read_card(folder)
    return RunFolder(folder)


def pick_device(name: str) -> torch.device:
    """The device of that name; 'auto' is CUDA, else MPS, else the CPU. RunError if it is not there."""
    has_mps = torch.backends.mps.is_available()
    kind, sign, index = name.partition(":")
    if kind not in _DEVICES or (sign and (kind == "auto" or not index.isdecimal())):
        raise RunError(
            found=f"device '{name}'",
            expected=f"{', '.join(_DEVICES)}, or one of several, such as cuda:1",
            fix=did_you_mean(kind if sign else name, _DEVICES),
        )
    if name == "auto":
        name = kind = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
    if (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()) or (kind == "mps" and not has_mps):
        raise RunError(
            found=f"device '{name}', which torch cannot use here",
            expected="a device of this machine",
            fix="leave --device at auto, or choose cpu",
        )
    return torch.device(name)


def _read_card(folder: Path) -> Card:
    path = folder / "card.json"
    if not path.is_file():
        cards = [each.parent.name for each in sorted(folder.glob("*/card.json"))]
        inner = [name for name in cards if not name.startswith(".")]
        raise RunError(
            found=f"{folder}, which has no card.json",
            expected="a run folder, made by `uvala train` or `uvala import-weights`",
            fix=f"did you mean {folder / inner[-1]}?" if inner else "give the folder that --out named",
        )
    content = _read_json(path)
    version = content.get("format") if isinstance(content, dict) else None
    if version not in READABLE:
        raise RunError(
            found=f"{path} of format {version}, written by uvala {_writer(content)}",
            expected=f"format {FORMAT} or before",
            fix="open it with the version of uvala that wrote it, or upgrade uvala",
        )
    try:
        return build(Card, content, where=str(path))
    except UvalaError as error:
        raise RunError(
            found=f"{error.found}, written by uvala {_writer(content)}",
            expected="a card.json as this version of uvala writes it",
            fix="open it with the version that wrote it, or undo changes by hand",
        ) from error


def _writer(content: Any) -> str:
    return str(content.get("uvala", "unknown")) if isinstance(content, dict) else "unknown"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            found=f"{path}, which cannot be read ({error})",
            expected="the JSON that uvala wrote",
            fix="take the file from a copy of the run, or train again",
        ) from error
