"""From what the data are like, the time and the machine to a plan, with a reason for each choice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from uvala.config import override
from uvala.data.dataset import Dataset
from uvala.data.facts import Facts
from uvala.data.sample import Sample
from uvala.data.target_config import TargetConfig
from uvala.data.targets import require_objects
from uvala.errors import ConfigError
from uvala.models.catalog import create_model, model_config, model_facts, without_pretrained
from uvala.plan.budget import Clock, format_duration
from uvala.plan.orientation import Orientation, find_orientation
from uvala.plan.probe import seconds_per_step
from uvala.plan.schema import Plan, plan_values

__all__ = ["make_plan"]

_LOOKED_AT = 32  # masks that are read to find the orientation
_LEAST_BATCH = 2  # a batch norm wants more than one image
_WIDTHS = (8, 12, 16, 24, 32, 48, 64)
_STEPS = {"cpu": 1200, "cuda": 4000, "mps": 2000}
"""A wider network is taken only if it still gets this many steps; on two cores their number decides."""

_HALVINGS = 4  # from the full resolution to the coarsest level
_TRAINING_SHARE = 0.85  # the rest of a budget goes to validation, scoring and the report
_BRIGHTNESS_SPREAD = 3.0


@dataclass
class _Choices:
    """Settings with their reasons; what the user set wins and is not argued with."""

    settings: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def choose(self, path: str, value: Any, reason: str) -> Any:
        """Take `value` for the setting at `path` unless the user took another; the value that holds."""
        if path in self.settings:
            self.values[path], self.reasons[path] = self.settings[path], "set by you"
        else:
            self.values[path], self.reasons[path] = value, reason
        return self.values[path]


def make_plan(
    dataset: Dataset,
    training: Sequence[Sample],
    *,
    settings: Mapping[str, Any],
    clock: Clock,
    device: torch.device,
) -> tuple[Plan, dict[str, str]]:
    """A plan for `training`, and the reason of each choice by dotted path.

    settings: what the user wants, by dotted path; checked like every plan (ConfigError).
    clock: how much time is left; without a budget nothing is measured, so the plan is the same on every run.
    """
    base = override(Plan(), settings, where="the settings")
    _check_counts(base, dataset)
    checked = plan_values(base)  # numbers are numbers here, whatever the settings came as
    choices = _Choices({path: checked[path] for path in settings})
    facts = dataset.facts_of(training)
    _choose_normalisation(choices, facts)
    _choose_augmentation(choices, _orientation(dataset, training))
    _choose_targets(choices, dataset)
    _choose_patches(choices, dataset, training, facts, device)
    _choose_network(choices, dataset, base, clock, device)
    plan = override(base, choices.values, where="the plan")
    return plan, choices.reasons


def _check_counts(plan: Plan, dataset: Dataset) -> None:
    """ConfigError where a setting has a number for each class or channel, but not as many as there are."""
    given = {
        "loss.class_weights": (plan.loss.class_weights, dataset.encoding.num_classes, "classes"),
        "normalisation.low": (plan.normalisation.low, dataset.channels, "channels"),
        "normalisation.high": (plan.normalisation.high, dataset.channels, "channels"),
    }
    for path, (values, wanted, what) in given.items():
        if values and len(values) != wanted:
            raise ConfigError(
                found=f"{len(values)} numbers in {path}",
                expected=f"{wanted}, as many as there are {what}",
                fix="give each a number, or leave the setting out",
            )


def _orientation(dataset: Dataset, training: Sequence[Sample]) -> Orientation:
    every = max(1, len(training) // _LOOKED_AT)
    maps = (dataset.classes(sample) for sample in training[::every])
    return find_orientation(maps, dataset.encoding.names)


def _choose_normalisation(choices: _Choices, facts: Facts) -> None:
    if facts.brightness_spread > _BRIGHTNESS_SPREAD:
        reason = f"bright images are {facts.brightness_spread:.1f} times as bright as dim ones"
        choices.choose("normalisation.by", "image", reason)
    else:
        choices.choose("normalisation.by", "dataset", "the images are about equally bright")
    choices.choose("normalisation.low", facts.low, "darkest level of the training images, channel by channel")
    choices.choose(
        "normalisation.high", facts.high, "brightest level of the training images, channel by channel"
    )


def _choose_augmentation(choices: _Choices, orientation: Orientation) -> None:
    choices.choose("augment.flip_vertical", not orientation.vertical, orientation.reason)
    choices.choose("augment.flip_horizontal", not orientation.horizontal, orientation.reason)
    upright = orientation.vertical or orientation.horizontal
    choices.choose("augment.quarter_turns", not upright, orientation.reason)
    choices.choose("augment.rotation", 10.0 if upright else 180.0, orientation.reason)


def _choose_targets(choices: _Choices, dataset: Dataset) -> None:
    """What is learnt besides the classes, where the masks number objects."""
    wanted = choices.settings.get("targets.objects", "classes")
    require_objects(dataset.encoding.num_classes, TargetConfig(objects=wanted))
    if dataset.encoding.kind == "instances":
        # the best of the four on DSB2018 at equal steps (docs/benchmarks.md), without an output of its own
        reason = "the masks number objects: the gaps between them weigh more, as in the U-Net paper"
        choices.choose("targets.objects", "weights", reason)


def _extra_logits(choices: _Choices) -> int:
    chosen = {**choices.values, **choices.settings}
    return TargetConfig(objects=chosen.get("targets.objects", "classes")).extra_logits


def _choose_patches(
    choices: _Choices, dataset: Dataset, training: Sequence[Sample], facts: Facts, device: torch.device
) -> None:
    largest = 512 if device.type == "cuda" else 256
    side = float(np.median([min(dataset.sizes[sample.name]) for sample in training]))
    size = int(min(largest, max(32, math.ceil(side / 32) * 32)))
    reason = (
        f"the images' shorter side is {side:.0f} pixels"
        if size < largest
        else f"enough context, and many different patches, from images of {side:.0f} pixels and more"
    )
    choices.choose("patches.size", size, reason)
    rarest = min((share for share in facts.class_shares if share > 0), default=1.0)
    if rarest < 0.02:
        choices.choose("patches.class_share", 0.5, f"the rarest class has {rarest:.2%} of the pixels")
    batch = 16 if device.type == "cuda" else 4
    choices.choose("patches.batch", batch, "enough patches for a steady gradient, few enough for many steps")


def _choose_network(
    choices: _Choices, dataset: Dataset, base: Plan, clock: Clock, device: torch.device
) -> None:
    """Resolution, depth and width of the network, as far as it has such options."""
    fields = model_config(base.model.name).model_fields
    if "borders" in fields:
        reason = "the logits must be as large as the image, so what its convolutions crop is mirrored first"
        choices.choose("model.options.borders", "mirror", reason)
    if not model_facts(base.model.name)["planned"]:
        if clock.budget is not None:
            _choose_batch(choices, dataset, base.model.name, clock, device)
        return
    patch = choices.values["patches.size"]
    halvings = max(1, min(_HALVINGS, int(math.log2(patch / 8))))
    fold = 1
    if "fold" in fields:
        folded = device.type == "cpu" and halvings > 2
        reason = (
            "at half the resolution a CPU makes more than twice as many steps"
            if folded
            else "full resolution"
        )
        fold = choices.choose("model.options.fold", 2 if folded else 1, reason)
    if "depth" in fields:
        depth = max(1, halvings - int(math.log2(fold)))
        coarsest = patch // (fold * 2**depth)
        reason = f"the coarsest level still has {coarsest}x{coarsest} pixels of a patch"
        choices.choose("model.options.depth", depth, reason)
    if "width" not in fields:
        return
    usual = 32 if device.type == "cuda" else 24 if fold > 1 else 16
    if clock.budget is None or "width" in base.model.options:
        choices.choose("model.options.width", usual, f"suits a {device.type}")
    else:
        _choose_width(choices, dataset, base.model.name, clock, device, usual)


def _steps_with(
    choices: _Choices,
    dataset: Dataset,
    name: str,
    clock: Clock,
    device: torch.device,
    batch: int,
    **options: Any,
) -> float:
    """How many steps of such batches the budget has room for, measured; options: beside those chosen."""
    prefix = "model.options."
    chosen = {
        path.removeprefix(prefix): value
        for path, value in {**choices.values, **choices.settings}.items()
        if path.startswith(prefix)
    }
    channels = dataset.channels
    classes = dataset.encoding.num_classes + _extra_logits(choices)
    model = create_model(
        name, in_channels=channels, num_classes=classes, **without_pretrained(chosen), **options
    )
    seconds = seconds_per_step(
        model,
        channels=channels,
        classes=classes,
        patch=choices.values["patches.size"],
        batch=batch,
        device=device,
    )
    return max(0.0, clock.remaining) * _TRAINING_SHARE / seconds


def _choose_batch(choices: _Choices, dataset: Dataset, name: str, clock: Clock, device: torch.device) -> None:
    """Smaller batches, where a network that stays as it is would get too few steps."""
    batch = choices.values["patches.batch"]
    if "patches.batch" in choices.settings or batch <= _LEAST_BATCH:
        return
    steps = _steps_with(choices, dataset, name, clock, device, batch)
    if steps < _STEPS[device.type] / 2:
        reason = f"with {batch} there would be about {steps:.0f} steps"
        choices.choose("patches.batch", _LEAST_BATCH, reason)


def _choose_width(
    choices: _Choices, dataset: Dataset, name: str, clock: Clock, device: torch.device, usual: int
) -> None:
    """The widest network that gets enough steps; where none does, smaller batches, then a narrower one."""

    def steps_with(width: int, batch: int) -> float:
        return _steps_with(choices, dataset, name, clock, device, batch, width=width)

    wanted, width, batch = _STEPS[device.type], usual, choices.values["patches.batch"]
    steps = steps_with(width, batch)
    if steps < wanted / 2 and "patches.batch" not in choices.settings:
        batch = max(_LEAST_BATCH, batch // 2)
        steps = steps_with(width, batch)
        choices.choose("patches.batch", batch, f"smaller steps, so that there are about {steps:.0f} of them")
    if steps < wanted / 8:
        width = _WIDTHS[_WIDTHS.index(usual) - 2]
        steps = steps_with(width, batch)
    for wider in _WIDTHS[_WIDTHS.index(width) + 1 :]:
        # the cost of a step grows a little slower than the square of the width
        if steps * (width / wider) ** 1.6 < wanted:
            break
        measured = steps_with(wider, batch)
        if measured < wanted:
            break
        width, steps = wider, measured
    time = format_duration(clock.budget or 0)
    reason = f"about {steps:.0f} steps in {time} on this machine, measured; wider would get too few"
    choices.choose("model.options.width", width, reason)
