"""A training that begins from weights: of another run, or of another project's checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from uvala.api.importing import read_import
from uvala.api.wishes import Wishes
from uvala.config import build, flat
from uvala.data.dataset import Dataset
from uvala.data.normalisation import Normalisation
from uvala.data.splits import Split
from uvala.errors import ConfigError
from uvala.models.catalog import create_model, model_config, without_pretrained
from uvala.runs.card import NetworkCard
from uvala.runs.folder import open_run

__all__ = ["Source", "Start", "read_source", "require_its_network", "seen_before", "start_from"]


@dataclass(frozen=True, eq=False)
class Source:
    """A trained network. names: its classes in order; none if nobody knows them. dtype: of its images.

    trained_on: hashes of the pixels of the images that it was trained on; none if nobody knows them.
    """

    words: str
    network: NetworkCard
    names: tuple[str, ...]
    normalisation: Normalisation
    dtype: str
    state: Mapping[str, Tensor]
    trained_on: frozenset[str] = frozenset()

    @property
    def logits(self) -> int:
        """Channels of its logits."""
        return self.network.logits or self.network.num_classes

    def wishes(self) -> Wishes:
        """The network."""
        of = f"the network of {self.words}"
        options = without_pretrained(self.network.options)
        values = {
            "model.name": self.network.name,
            **{f"model.options.{name}": value for name, value in options.items()},
        }
        return Wishes(values, dict.fromkeys(values, of))

    def wishes_for(self, dataset: Dataset) -> Wishes:
        """What images and masks like those that it knows allow to keep: the scale, and what is learnt."""
        values: dict[str, object] = {}
        if dataset.channels == self.network.in_channels and dataset.dtype == self.dtype:
            values = {
                f"normalisation.{name}": value for name, value in self.normalisation.model_dump().items()
            }
        if self.network.objects != "classes" and dataset.encoding.kind == "instances":
            values["targets.objects"] = self.network.objects
        return Wishes(values, dict.fromkeys(values, f"as {self.words} was trained"))


class Start(NamedTuple):
    """Weights to begin from, complete, and in words what of them is kept and what is new."""

    state: dict[str, Tensor]
    notes: tuple[str, ...]


def read_source(path: str | Path) -> Source:
    """The network of a run folder, or of a checkpoint file of another project.

    RunError or WeightsError if it is neither.
    """
    path = Path(path).expanduser()
    trained_on: frozenset[str] = frozenset()
    if path.is_file():
        imported = read_import(path)
        card, state, names = imported.card, imported.model.state_dict(), imported.names
    else:
        run = open_run(path)
        card, state = run.card, run.model().state_dict()
        names = () if card.data.imported else card.encoding.names
        if not card.data.imported:
            trained_on = frozenset(run.contents[name] for name in run.split.train if name in run.contents)
    return Source(
        words=path.name,
        network=card.network,
        names=names,
        normalisation=card.normalisation,
        dtype=card.data.dtype,
        state=state,
        trained_on=trained_on,
    )


def seen_before(source: Source, dataset: Dataset, split: Split, *, folds: int) -> str:
    """A sentence about images to be scored that the weights were trained on already; "" if there are none.

    They are known again by their pixels, whatever they are called. folds: of several, each image that is not
    held out validates one.
    """
    sides = {"validation": (*split.train, *split.val) if folds > 1 else split.val, "test": split.test}
    found = {
        side: sum(dataset.contents[name] in source.trained_on for name in names)
        for side, names in sides.items()
    }
    said = [
        f"{number:,} of the {len(sides[side]):,} {side} images" for side, number in found.items() if number
    ]
    if not said:
        return ""
    return f"{source.words} was trained on {' and '.join(said)}: the scores of these are too good"


def require_its_network(source: Source, wishes: Wishes) -> None:
    """ConfigError if the wishes are for another network than that of the weights."""
    name = source.network.name
    options = build(model_config(name), without_pretrained(source.network.options), where=source.words)
    has = flat({"model": {"name": name, "options": options.model_dump(mode="json")}})
    for path, value in wishes.values.items():
        if path.startswith("model.") and path != "model.options.pretrained" and has.get(path) != value:
            raise ConfigError(
                found=f"{path} = {value} with the weights of {source.words}, where it is {has.get(path)}",
                expected="the network that the weights are of",
                fix="leave model.name and model.options out",
            )


def start_from(source: Source, network: NetworkCard, names: Sequence[str], *, seed: int) -> Start:
    """The weights of `source` for a network that differs from it in its channels and classes at most.

    names: the classes of `network`, in order. Outputs for classes whose name `source` knows are kept, those
    for others are fresh, drawn with `seed`. Where the image has C channels instead of C0, each gets the sum
    of the first convolution over its old channels, divided by C: an image whose channels are all alike (grey
    as RGB) gives the numbers that it gave before. ConfigError where the network is another.
    """
    logits = network.logits or network.num_classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = _model(network, network.in_channels, logits).state_dict()
    axes = _axes(network, fresh)
    rows = _rows(source, network, names)
    state: dict[str, Tensor] = {}
    for key, tensor in fresh.items():
        old = _spread(source, network, axes[key], key)
        if old is None or not _fits(old, tensor, axes[key].classes):
            raise ConfigError(
                found=f"{source.words}, whose weights have no {key} of {tuple(tensor.shape)}",
                expected=f"the weights of {network.name} with the options of the plan",
                fix="leave settings of model.options out: with --from they are those of the weights",
            )
        state[key] = _with_rows(tensor.clone(), old, axes[key].classes, rows)
    return Start(state, tuple(_notes(source, network, names, rows)))


class _Axes(NamedTuple):
    """Which axes of a tensor are as long as the image has channels, or the network classes, demand."""

    channels: tuple[int, ...]
    classes: tuple[int, ...]


def _axes(network: NetworkCard, state: Mapping[str, Tensor]) -> dict[str, _Axes]:
    """Found by comparing shapes with those of networks for one more channel, or one more class."""
    logits = network.logits or network.num_classes
    with torch.device("meta"):  # shapes without numbers
        wider = _model(network, network.in_channels + 1, logits).state_dict()
        longer = _model(network, network.in_channels, logits + 1).state_dict()

    def differing(key: str, other: Mapping[str, Tensor]) -> tuple[int, ...]:
        sizes = zip(state[key].shape, other[key].shape, strict=True)
        return tuple(axis for axis, (ours, theirs) in enumerate(sizes) if ours != theirs)

    return {key: _Axes(differing(key, wider), differing(key, longer)) for key in state}


def _model(network: NetworkCard, in_channels: int, logits: int) -> nn.Module:
    options = without_pretrained(network.options)
    return create_model(network.name, in_channels=in_channels, num_classes=logits, **options)


_BACKGROUND = -1
"""Instead of a row: the background of a network with a single logit, whose own logit is 0."""


def _rows(source: Source, network: NetworkCard, names: Sequence[str]) -> list[int | None]:
    """For each logit the one of `source` that meant the same; None: it is new."""
    places = list(range(source.network.num_classes)) if source.logits > 1 else [_BACKGROUND, 0]
    rows: list[int | None]
    if source.names:
        known = {name.casefold(): place for name, place in zip(source.names, places, strict=True)}
        rows = [known.get(name.casefold()) for name in names]
    else:
        # without names, as many classes are taken for the same, in their order
        rows = list(places) if len(names) == len(places) else [None] * len(names)
    if (network.logits or network.num_classes) > len(names):  # what is learnt of objects besides the classes
        rows.append(source.logits - 1 if source.network.objects == network.objects else None)
    return rows


def _spread(source: Source, network: NetworkCard, axes: _Axes, key: str) -> Tensor | None:
    """The source's tensor, for the channels of the new images; None if it has none of that kind."""
    tensor = source.state.get(key)
    before, after = source.network.in_channels, network.in_channels
    if tensor is None or before == after:
        return tensor
    for axis in axes.channels:
        # folded images have several channels of the network for each channel of the image
        blocks = tensor.unflatten(axis, (before, -1))
        part = blocks.sum(axis, keepdim=True) / after
        tensor = part.expand(*(after if n == axis else -1 for n in range(part.dim()))).flatten(axis, axis + 1)
    return tensor


def _fits(old: Tensor, new: Tensor, by_classes: Sequence[int]) -> bool:
    return old.dim() == new.dim() and all(
        axis in by_classes or old.shape[axis] == new.shape[axis] for axis in range(new.dim())
    )


def _with_rows(fresh: Tensor, old: Tensor, axes: Sequence[int], rows: Sequence[int | None]) -> Tensor:
    """`fresh` with what `old` has for the logits that it knows. axes: those that count logits."""
    if not axes:
        return old.to(fresh.dtype)
    # several rows each, where squares of logits are folded into channels
    blocks = [fresh.shape[axis] // len(rows) for axis in axes]
    known = [(new, old_row) for new, old_row in enumerate(rows) if old_row is not None]
    for pairs in product(known, repeat=len(axes)):
        target, value = fresh, old
        for axis, (new, old_row), block in zip(axes, pairs, blocks, strict=True):
            target = target.narrow(axis, new * block, block)
            value = value.narrow(axis, max(old_row, 0) * block, block)
        target.copy_(value * 0 if any(row == _BACKGROUND for _, row in pairs) else value)
    return fresh


def _notes(
    source: Source, network: NetworkCard, names: Sequence[str], rows: Sequence[int | None]
) -> Iterator[str]:
    """What is kept and what is new, in sentences."""
    yield f"the training begins from the weights of {source.words}"
    before, after = source.network.in_channels, network.in_channels
    if before != after:
        yield (
            f"its first convolution was for {before} channel{'s' * (before > 1)}: each of the {after} here "
            f"gets the sum over them, divided by {after}"
        )
    new = [name for name, row in zip(names, rows, strict=False) if row is None]
    if not new:
        return
    kept = [name for name in names if name not in new]
    yield f"its outputs are kept for {', '.join(kept) or 'no class'}, and fresh for {', '.join(new)}"
