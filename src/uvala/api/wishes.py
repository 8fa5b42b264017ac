"""What the user asked for, as settings of the plan by their dotted paths: options, a plan file, a recipe."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uvala.config import build, flat, read_toml
from uvala.data.dataset import Dataset
from uvala.errors import ConfigError, WeightsError
from uvala.models.catalog import create_model, model_config
from uvala.plan.budget import DEFAULT, parse_duration
from uvala.plan.recipes import read_recipe
from uvala.plan.schema import Plan, plan_of
from uvala.tiling.test_time_config import TestTimeConfig

__all__ = ["VIEWS", "Wishes", "asked_for", "base_wishes", "for_images", "of_file", "of_recipe"]

_PATHS = {
    "budget": "length.budget",
    "epochs": "length.epochs",
    "model": "model.name",
    "folds": "folds",
    "track": "tracking",
    "seed": "seed",
    "device": "device",
}


_OF_THE_DATA = frozenset({"model.options.in_channels", "model.options.num_classes"})
_PATCH = "patches.size"
_PRETRAINED = "model.options.pretrained"
_FROZEN = "freeze.encoder"
_LEVELS = frozenset({"normalisation.low", "normalisation.high"})
_SCALE = _LEVELS | {"normalisation.by", "normalisation.limit"}
VIEWS = frozenset(f"test_time.{name}" for name in TestTimeConfig.model_fields)


@dataclass(frozen=True)
class Wishes:
    """Settings by dotted path. reasons: whose wish each is; the others are the user's own.

    negotiable: settings that are given up, in a sentence, where they cannot be had.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    negotiable: frozenset[str] = frozenset()

    def under(self, other: "Wishes") -> "Wishes":
        """Both, those of `other` winning: its length replaces any length, its network the other's options."""
        lost = set(other.values)
        if any(path.startswith("length.") for path in other.values):
            lost |= {path for path in self.values if path.startswith("length.")}
        if other.values.get("model.name", name := self.values.get("model.name")) != name:
            lost |= {path for path in self.values if path.startswith("model.options.")}
        kept = {path: value for path, value in self.values.items() if path not in lost}
        return Wishes(
            {**kept, **other.values},
            {**{path: why for path, why in self.reasons.items() if path in kept}, **other.reasons},
            (self.negotiable & kept.keys()) | other.negotiable,
        )

    def with_length(self) -> "Wishes":
        """The same with a length if there was none; ConfigError if there are several."""
        lengths = [path.removeprefix("length.") for path in self.values if path.startswith("length.")]
        if len(lengths) > 1:
            raise ConfigError(
                found=f"{' and '.join(sorted(lengths))} together",
                expected="one of budget, steps and epochs",
                fix="leave the others out",
            )
        if lengths:
            return self
        default = {"length.budget": parse_duration(DEFAULT)}
        return self.under(Wishes(default, dict.fromkeys(default, "nobody said how long")))

    def plan(self) -> Plan:
        """A plan with these settings and the defaults; ConfigError where one is unknown or out of range."""
        for path in sorted(_OF_THE_DATA & self.values.keys()):
            raise ConfigError(
                found=f"{path} = {self.values[path]}",
                expected="a network for the channels and classes of the data, which say how many there are",
                fix="leave it out; what masks and images hold can be set in dataset.toml",
            )
        plan = plan_of(self.values, where="the settings")
        build(model_config(plan.model.name), plan.model.options, where=f"the options of {plan.model.name}")
        return plan

    def may_give_up(self, path: str) -> bool:
        """Whether somebody other than the user set `path`, who would take another value."""
        return path in self.negotiable and path in self.values

    def without(self, paths: Iterable[str]) -> "Wishes":
        """The same without some of them, which the planner decides."""
        lost = set(paths)
        return Wishes(
            {path: value for path, value in self.values.items() if path not in lost},
            {path: why for path, why in self.reasons.items() if path not in lost},
            self.negotiable - lost,
        )

    def instead(self, values: Mapping[str, Any], why: str = "") -> "Wishes":
        """The same with other values for some of them; why: their reason, if it is another too."""
        reasons = dict.fromkeys(values, why) if why else {}
        return Wishes({**self.values, **values}, {**self.reasons, **reasons}, self.negotiable)

    def explain(self, reasons: Mapping[str, str]) -> dict[str, str]:
        """The reasons of a plan made from these wishes, each wish with whose it is."""
        return {**reasons, **self.reasons}


def asked_for(settings: Mapping[str, Any], **named: Any) -> Wishes:
    """The user's own wishes: settings, nested or dotted, and options with a name that are not None."""
    asked = {**flat(settings), **{_PATHS[name]: value for name, value in named.items() if value is not None}}
    budget = asked.get("length.budget")
    if isinstance(budget, str) and budget.strip().startswith("+"):
        raise ConfigError(
            found=f"--budget {budget} for a new training",
            expected="a time, such as 10m",
            fix="leave the sign out, or say which training shall last longer: uvala train --resume RUN",
        )
    if budget is not None:
        asked["length.budget"] = parse_duration(budget)
    return Wishes(asked)


def of_file(path: Path) -> Wishes:
    """The settings of a plan file, of all or of some settings; ConfigError if it is none."""
    values = flat(read_toml(path))
    if isinstance(values.get("length.budget"), str):
        values["length.budget"] = parse_duration(values["length.budget"])
    plan_of(values, where=str(path))
    return Wishes(values, dict.fromkeys(values, f"as {path.name} says"))


def of_recipe(name: str) -> Wishes:
    """The settings of a recipe, with the reason that it gives for each; UnknownNameError if there is none."""
    recipe = read_recipe(name)
    reasons = {path: f"{name}: {recipe.reasons.get(path, 'as the recipe has it')}" for path in recipe.values}
    negotiable = frozenset({_PATCH, _PRETRAINED, _FROZEN, *_SCALE, *VIEWS})
    return Wishes(recipe.values, reasons, negotiable & reasons.keys())


def base_wishes(recipe: str | None, plan: str | Path | None) -> Wishes:
    """What the user's own wishes stand upon."""
    if recipe is not None and plan is not None:
        raise ConfigError(
            found="a recipe and a plan file together",
            expected="one of them",
            fix="write the recipe's settings into the file: `uvala recipes NAME` prints them",
        )
    if recipe is not None:
        return of_recipe(recipe)
    return Wishes() if plan is None else of_file(Path(plan).expanduser())


def for_images(wishes: Wishes, dataset: Dataset, *, given: bool = False) -> tuple[Wishes, tuple[str, ...]]:
    """What of a recipe these images and this machine allow; and what was given up, in sentences.

    Its patch is no larger than the images need, its levels are those of 8-bit images, one for all channels;
    published weights may be out of reach, and an encoder that begins at random is not kept as it is. given:
    whether the training begins with weights of another one.
    """
    wishes, patch = _patch_that_fits(wishes, dataset)
    wishes, levels = _levels_of_8_bits(wishes, dataset)
    wishes, weights = (wishes, "") if given else _weights_at_hand(wishes)
    return wishes, tuple(filter(None, (patch, levels, weights)))


def _patch_that_fits(wishes: Wishes, dataset: Dataset) -> tuple[Wishes, str]:
    longest = max(max(size) for size in dataset.sizes.values())
    most = 16 * math.ceil(longest / 16)
    if not wishes.may_give_up(_PATCH) or wishes.values[_PATCH] <= most:
        return wishes, ""
    why = f"the recipe's {wishes.values[_PATCH]} is more than the largest image has"
    return wishes.instead({_PATCH: most}, why), f"patches of {most} pixels: {why}"


def _levels_of_8_bits(wishes: Wishes, dataset: Dataset) -> tuple[Wishes, str]:
    levels = {path: wishes.values[path] for path in sorted(_LEVELS) if wishes.may_give_up(path)}
    if not levels:
        return wishes, ""
    if dataset.dtype == "uint8":
        values = {path: [*level] * dataset.channels for path, level in levels.items() if len(level) == 1}
        return wishes.instead(values), ""
    # how they are counted, and where they are clipped, was said of those levels
    lost = [path for path in wishes.values if path.startswith("normalisation.") and wishes.may_give_up(path)]
    said = f"levels of these {dataset.dtype} images in place of the recipe's, which are for 8 bits"
    return wishes.without(lost), said


def _weights_at_hand(wishes: Wishes) -> tuple[Wishes, str]:
    trouble = ""
    if wishes.may_give_up(_PRETRAINED) and wishes.values[_PRETRAINED]:
        try:
            network = wishes.plan().model
            create_model(network.name, in_channels=3, num_classes=2, **network.options)
        except WeightsError as error:
            trouble = f"from random weights, all of them trained from the start: {error.found}"
            wishes = wishes.instead({_PRETRAINED: False}, "published weights cannot be had here")
    frozen = wishes.may_give_up(_FROZEN) and wishes.values[_FROZEN] > 0
    if not frozen or wishes.values.get(_PRETRAINED):
        return wishes, trouble
    why = "published weights cannot be had here" if trouble else "what is random must not be kept as it is"
    said = "all weights are trained from the start: those that the recipe keeps are of a pretrained encoder"
    return wishes.instead({_FROZEN: 0.0}, why), trouble or said
