"""Decisions about learning: the rate, its schedule, the running average, how often it is validated."""

import math

import torch
from torch import nn

from uvala.models.blocks import InstanceNorm
from uvala.models.catalog import model_facts
from uvala.plan.choices import Choices
from uvala.plan.optimiser_config import OptimiserConfig
from uvala.plan.schema import ValidationConfig
from uvala.plan.situation import Situation
from uvala.plan.work import Candidate

__all__ = [
    "ROUNDS_REASON",
    "choose_average",
    "choose_rate",
    "choose_schedule",
    "choose_validation",
    "rounds_for",
]

ROUNDS_REASON = "more often in a longer training, which has more to choose from"

_RATE = OptimiserConfig().learning_rate  # AdamW, batches of 4 patches, norms after each convolution
_RATE_PUBLISHED = 1e-3
_RATE_PRETRAINED = 3e-4
_RATE_WITHOUT_NORMS = 1e-4
_BATCH, _WIDTH = 4, 24  # above which the rate is another
_GIVEN = 1 / 3  # of the rate for fresh weights, for weights that are good already
_GIVEN_REASON = "the weights are good already: a third of"
_WARM_STEPS = 50, 1000  # at least and at most
_AVERAGE_SHARE = 0.04  # of the steps that the running average looks back over
_AVERAGE_LIMITS = 0.9, 0.9995


def choose_rate(choices: Choices, case: Situation, candidate: Candidate) -> None:
    """The highest learning rate, by the network, the size of its batches and the weights it begins with."""
    path = "optimiser.learning_rate"
    if not choices.open("optimiser.name") and choices["optimiser.name"] != "adamw":
        # who chooses another optimiser knows its rates
        if case.given and choices.open(path):
            choices.choose(path, float(f"{_GIVEN * choices[path]:.2g}"), f"{_GIVEN_REASON} the default")
        return
    if choices.model_options().get("pretrained"):
        rate, reason = _RATE_PRETRAINED, "the encoder begins with weights that are worth keeping"
    elif not _has_norms(candidate):
        rate, reason = _RATE_WITHOUT_NORMS, "without norms after its convolutions the network diverges above"
    else:
        rate, reason = _RATE, "norms after each convolution bear a high rate, and few steps need one"
        if not model_facts(candidate.name)["planned"]:
            rate, reason = _RATE_PUBLISHED, "a published network, whose own recipe has a lower rate"
    batch, width = choices["patches.batch"], choices.model_options().get("width", _WIDTH)
    if batch > _BATCH:
        rate *= min(2.0, math.sqrt(batch / _BATCH))
        reason += f"; more for batches of {batch}, whose gradients are steadier"
    if rate > _RATE_PUBLISHED and width > _WIDTH:
        rate *= math.sqrt(_WIDTH / width)
        reason += "; less for a wider network"
    if case.given:
        reason = f"{_GIVEN_REASON} {rate:.2g}, the rate for fresh ones: {reason}"
        rate *= _GIVEN
    choices.choose(path, float(f"{rate:.2g}"), reason)


def choose_schedule(choices: Choices, steps: float | None) -> None:
    """Warm-up: a share of the training, within a number of steps."""
    if steps is None:
        return
    least, most = _WARM_STEPS
    share = min(max(0.05, least / steps), most / steps, 0.2)
    choices.choose(
        "optimiser.warmup",
        float(f"{share:.2g}"),
        f"about {share * steps:,.0f} of {steps:,.0f} steps to settle",
    )


def choose_average(choices: Choices, steps: float | None) -> None:
    """How far back the running average of the weights looks."""
    if steps is None:
        return
    low, high = _AVERAGE_LIMITS
    decay = min(max(1 - 1 / max(2.0, _AVERAGE_SHARE * steps), low), high)
    span = 1 / (1 - decay)
    choices.choose(
        "optimiser.average", float(f"{decay:.4g}"), f"looks back over {span:,.0f} of about {steps:,.0f} steps"
    )


def choose_validation(choices: Choices, case: Situation) -> None:
    """How many validations there are."""
    if case.budget is not None:
        choices.choose("validation.rounds", rounds_for(case.budget), ROUNDS_REASON)


def rounds_for(budget: float | None) -> int:
    """Validations in a training of so many seconds; None: of a number of steps."""
    if budget is None:
        return ValidationConfig().rounds
    return min(50, max(8, round(20 * math.sqrt(budget / 600))))


def _has_norms(candidate: Candidate) -> bool:
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        modules = list(candidate.network().modules())
    convolutions = sum(isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1) for module in modules)
    kinds = nn.modules.batchnorm._NormBase | nn.GroupNorm | InstanceNorm
    norms = sum(isinstance(module, kinds) for module in modules)
    return norms >= convolutions / 2
