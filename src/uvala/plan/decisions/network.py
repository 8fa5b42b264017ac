"""Decisions about the network, and how wide it is.

A wider network is better if it gets enough steps, and worse if it does not. Let r be the steps that the usual
network gets in the time there is. One that costs c times as much gets r / c of them, and is taken as long as
r / c >= sqrt(r * ENOUGH_STEPS): of a hundred times the time, the cost and the number of steps get ten each.
Up to width 32 fewer steps are enough.
"""

import math
from dataclasses import replace

from uvala.models.catalog import model_config, model_facts
from uvala.plan.budget import format_duration
from uvala.plan.choices import Choices
from uvala.plan.decisions.candidates import USUAL_WIDTH, candidate_of, expected_steps, is_open
from uvala.plan.decisions.patches import choose_patch
from uvala.plan.decisions.resolution import choose_depth, choose_fold, starting_candidate
from uvala.plan.prices import Prices, fits
from uvala.plan.situation import Situation
from uvala.plan.work import Candidate

__all__ = ["choose_network"]

# Ten minutes on ISBI's 20 slices: width 32 with 2,045 steps is ahead of width 48 with 1,168 in all scores
# (Dice of the membranes 0.811 and 0.807), and learns nothing new after 1,100. Of CamVid's 367 frames, with
# twelve times the pixels, it still learns steeply after 1,400.
ENOUGH_STEPS, FEW_PIXELS = 1000, 20 * 512 * 512
# Five minutes on DSB2018's nuclei: width 32 with 1,137 steps is ahead of width 24 with 1,511 (AP of the
# validation images 0.519 and 0.503).
_ENOUGH_OF_NARROW, _NARROW = 500, 32
FEW_STEPS = 600  # below which batches get smaller
FEWEST_STEPS = 150  # below which the network gets narrower than usual
_WIDTHS = (8, 12, 16, 24, 32, 48, 64, 96, 128)
_GPU_WIDTH = 32  # without a budget
_LEAST_BATCH = 2  # a batch norm wants more than one image
_STEADY_BATCH = 4  # a wider network is worth more than larger batches than this


def choose_network(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """Resolution, depth, shortcuts, norm, batch and width, as far as the network has such options."""
    name = choices["model.name"]
    fields = model_config(name).model_fields
    if "borders" in fields:
        reason = "the logits must be as large as the image, so what its convolutions crop is mirrored first"
        choices.choose("model.options.borders", "mirror", reason)
    planned = model_facts(name)["planned"]
    if planned and "residual" in fields and case.task == "classes":
        # CamVid after 300 steps: mIoU 0.38 with shortcuts, 0.32 without, at a tenth more time per step;
        # nothing gained on DSB2018's nuclei (AP of the validation images 0.527 and 0.524)
        reason = "shortcuts around its convolutions: classes are told apart after fewer steps"
        choices.choose("model.options.residual", True, reason)
    if planned and "fold" in fields:
        choose_fold(choices, case, prices)
        choose_patch(choices, case)  # was chosen for the coarsest
    if planned and "depth" in fields:
        choose_depth(choices, case)
    if planned and "norm" in fields:
        _choose_norm(choices)
    _fit_batch(choices, case, prices)
    if planned and "width" in fields:
        _choose_width(choices, case, prices)


def _choose_norm(choices: Choices) -> None:
    if choices["patches.batch"] < _LEAST_BATCH:
        reason = "a batch of one has no mean but its own; large images are then cut with blended edges"
        choices.choose("model.options.norm", "group", reason)
    else:
        reason = "the fastest to learn with, and large images can be cut without a change in any number"
        choices.choose("model.options.norm", "batch", reason)


def _fit_batch(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """Smaller batches where memory or steps are too few."""
    candidate = starting_candidate(choices, case, choices.model_options().get("fold", 1))

    def halve(reason: str) -> Candidate:
        batch = max(_LEAST_BATCH, candidate.batch // 2)
        choices.choose("patches.batch", case.ranks * batch, reason)
        return replace(candidate, batch=batch)

    if not choices.open("patches.batch"):
        return
    while candidate.batch > _LEAST_BATCH and not fits(candidate, case.machine):
        candidate = halve("more patches of this size do not fit into the memory")
    if prices is None:
        return
    while candidate.batch > _LEAST_BATCH and (steps := expected_steps(candidate, case, prices)) < FEW_STEPS:
        candidate = halve(f"with {case.ranks * candidate.batch} there would be about {steps:,.0f} steps")


def _choose_width(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """The widest network that gets enough steps; a narrower one where there would be very few."""
    usual = USUAL_WIDTH[choices.model_options().get("fold", 1)]
    if not is_open(choices, "width"):
        choices.choose("model.options.width", usual, "")
        return
    if prices is None:
        usual = usual if case.machine.kind == "cpu" else _GPU_WIDTH
        widths = [each for each in _WIDTHS if each <= usual]
        fitting = [each for each in widths if fits(_with_width(choices, case, each), case.machine)]
        width = max(fitting, default=_WIDTHS[0])
        choices.choose("model.options.width", width, f"suits a {case.machine.kind}; no budget says more")
        return
    width = _best_width(choices, case, prices, usual)
    while _memory_limits(choices, case, width):
        batch = choices["patches.batch"] // 2
        choices.choose("patches.batch", batch, "more would leave too little memory for a wider network")
        width = _best_width(choices, case, prices, usual)
    candidate = _with_width(choices, case, width)
    steps, known = expected_steps(candidate, case, prices), prices.how_known(candidate)
    why = "wider would get too few"
    if width == _WIDTHS[-1]:
        why = "wider brings no more"
    elif not fits(_with_width(choices, case, _wider(width)), case.machine):
        why = "wider does not fit into the memory"
    time = format_duration(case.budget or 0)
    reason = f"about {steps:,.0f} steps in {time} on this machine, {known}; {why}"
    choices.choose("model.options.width", width, reason)


def _memory_limits(choices: Choices, case: Situation, width: int) -> bool:
    """Whether half the batch would make room for a wider network."""
    fewer = choices["patches.batch"] // 2 >= _STEADY_BATCH * case.ranks
    wider = _with_width(choices, case, _wider(width))
    if wider.part.batch == 1:  # one by one they take as much of a smaller batch
        return False
    return choices.open("patches.batch") and fewer and width != _WIDTHS[-1] and not fits(wider, case.machine)


def _wider(width: int) -> int:
    return _WIDTHS[min(_WIDTHS.index(width) + 1, len(_WIDTHS) - 1)]


def _best_width(choices: Choices, case: Situation, prices: Prices, usual: int) -> int:
    def steps_with(place: int, *, exactly: bool = False) -> float:
        return expected_steps(_with_width(choices, case, _WIDTHS[place]), case, prices, exactly=exactly)

    first = place = _WIDTHS.index(usual)
    steps = steps_with(place, exactly=True)

    def wanted(place: int) -> float:
        enough = ENOUGH_STEPS if _WIDTHS[place] > _NARROW else _ENOUGH_OF_NARROW
        enough *= min(4.0, max(1.0, case.area / FEW_PIXELS) ** 0.25)
        return math.sqrt(max(steps, enough) * enough)

    while place > 0 and steps_with(place) < FEWEST_STEPS:
        place -= 1
    # by its work alone a width is known to a fifth or so: registers of 16 numbers take 32 as fast as 24
    while place + 1 < len(_WIDTHS) and steps_with(place + 1) >= 0.8 * wanted(place + 1):
        place += 1
    while place > first and steps_with(place, exactly=True) < wanted(place):
        place -= 1
    return _WIDTHS[place]


def _with_width(choices: Choices, case: Situation, width: int) -> Candidate:
    return candidate_of(choices, case).with_options({"width": width})
