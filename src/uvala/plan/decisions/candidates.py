"""The training steps that decisions compare, and how many of them there is time for."""

from uvala.models.catalog import model_config, model_facts
from uvala.plan.choices import Choices
from uvala.plan.decisions.data import extra_logits
from uvala.plan.prices import Prices
from uvala.plan.situation import Situation
from uvala.plan.work import Candidate

__all__ = ["USUAL_WIDTH", "candidate_of", "expected_steps", "is_open", "usual_candidate"]

USUAL_WIDTH = {1: 16, 2: 24, 4: 48}
"""Width by fold: what a few minutes on two cores have time for."""

# of a budget goes to training, less some time; the rest to validation, scoring and the report
_TRAINING_SHARE, _SECONDS_AFTER = 0.9, 12.0


def is_open(choices: Choices, option: str) -> bool:
    """Whether the plan may choose that option of the network, and the network has it."""
    name = choices["model.name"]
    return (
        model_facts(name)["planned"]
        and option in model_config(name).model_fields
        and choices.open(f"model.options.{option}")
    )


def candidate_of(choices: Choices, case: Situation) -> Candidate:
    """The step of the plan as far as it is decided, as one of `case.ranks` processes takes it."""
    batch = max(1, choices["patches.batch"] // case.ranks)
    return Candidate(
        name=choices["model.name"],
        channels=case.facts.channels,
        logits=case.classes + extra_logits(choices),
        patch=choices["patches.size"],
        batch=batch,
        memory_format=choices["execution.memory_format"],
        compile=choices["execution.compile"],
        precision=choices["precision"],
        accumulate=min(choices["optimiser.accumulate"], batch),
    ).with_options(choices.model_options())


def usual_candidate(choices: Choices, case: Situation, fold: int, depth: int) -> Candidate:
    """A step of the usual network at that resolution, before its width is decided."""
    usual = {"fold": fold, "depth": depth, "width": USUAL_WIDTH[fold]}
    known = {name: value for name, value in usual.items() if is_open(choices, name)}
    return candidate_of(choices, case).with_options(known)


def expected_steps(candidate: Candidate, case: Situation, prices: Prices, *, exactly: bool = False) -> float:
    """How many such steps the time has room for; exactly: measured, if there is time for that."""
    assert case.seconds is not None, "without a budget nobody knows"
    seconds = max(0.0, _TRAINING_SHARE * case.seconds - _SECONDS_AFTER)
    return seconds / prices.seconds(candidate, exactly=exactly)
