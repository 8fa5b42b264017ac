"""At which resolution a network works and how far it sees, from the sizes of what is to be found."""

import math
from dataclasses import replace

from uvala.plan.choices import Choices
from uvala.plan.decisions.candidates import expected_steps, is_open, usual_candidate
from uvala.plan.prices import Prices
from uvala.plan.situation import Situation
from uvala.plan.work import Candidate

__all__ = ["cheap_candidate", "choose_depth", "choose_fold", "coarsest_fold", "starting_candidate"]

_FINER_STEPS = 3000  # that the usual network of the next finer resolution must get
_TOO_FEW_STEPS = 400  # of the usual network at full resolution, below which half of it is better anyway
# Pixels that the smallest things must keep at half and at a quarter of the resolution: what hangs together
# needs fewer. Ten minutes on DSB 2018, a tenth of whose nuclei are at most 7.5 pixels wide, one seed: mean AP
# 0.448 at full resolution (width 16, 1,496 steps), 0.472 at half (width 32, 2,300 steps), and ahead on the
# validation images too (0.520, 0.548).
_LEAST = {"objects": {2: 3.5, 4: 4.0}, "membranes": {2: 2.5, 4: 2.5}, "classes": {2: 6.0, 4: 6.0}}
_LARGE_IMAGE = 256  # pixels, below which a quarter of the resolution leaves too little to look at
_FEW_PATCHES = 2  # whose step is short and is computed as that of many
_HALVINGS = 4, 6  # from the full resolution to the coarsest level: usually, and at most
_COARSEST = 8  # pixels of a patch that the coarsest level still has
_ROOMY = 16  # pixels of a patch, from which a level costs next to nothing and sees twice as far


def coarsest_fold(case: Situation) -> tuple[int, str]:
    """The coarsest resolution at which the smallest things that count can still be told, and why."""
    words = case.finest_words
    for fold, share in ((4, "a quarter of"), (2, "half")):
        if case.finest / fold >= _LEAST[case.task][fold] and (
            fold < 4 or min(case.facts.median) >= _LARGE_IMAGE
        ):
            return fold, f"{words}, enough for {share} the resolution, which makes many more steps"
    return 1, f"{words}: too narrow for half the resolution"


def starting_candidate(choices: Choices, case: Situation, fold: int | None = None) -> Candidate:
    """A step of the usual network at that resolution; None: at the coarsest, or that of the user."""
    fold = fold or choices.model_options().get("fold") or coarsest_fold(case)[0]
    return usual_candidate(choices, case, fold, _depth(choices, case, fold))


def cheap_candidate(choices: Choices, case: Situation) -> Candidate:
    """A step by which ways of computing are compared: few patches, not at full resolution if it can be."""
    fold = choices.model_options().get("fold") or max(2, coarsest_fold(case)[0])
    candidate = starting_candidate(choices, case, fold)
    return replace(candidate, batch=min(candidate.batch, _FEW_PATCHES), accumulate=1)


def choose_fold(choices: Choices, case: Situation, prices: Prices | None) -> None:
    """The resolution: none at which the smallest things vanish, and the finest that gets enough steps."""
    fold, reason = coarsest_fold(case)
    if prices is None and case.machine.kind != "cpu":
        fold, reason = 1, f"full resolution is what a {case.machine.kind} has time for"
    if prices is None or not is_open(choices, "fold"):
        choices.choose("model.options.fold", fold, reason)
        return
    while fold > 1:
        finer = starting_candidate(choices, case, fold // 2)
        # what is far too slow by its work alone need not be measured
        if expected_steps(finer, case, prices) < _FINER_STEPS / 2:
            break
        steps = expected_steps(finer, case, prices, exactly=True)
        if steps < _FINER_STEPS:
            break
        fold, reason = fold // 2, f"there is time for about {steps:,.0f} steps at this resolution"
    if fold == 1:
        full = starting_candidate(choices, case, 1)
        steps = expected_steps(full, case, prices)
        if _TOO_FEW_STEPS / 2 < steps < 2 * _TOO_FEW_STEPS:
            steps = expected_steps(full, case, prices, exactly=True)
        if steps < _TOO_FEW_STEPS:
            fold, reason = 2, f"{reason}, but there is only time for {steps:,.0f} steps at full resolution"
    choices.choose("model.options.fold", fold, reason)


def choose_depth(choices: Choices, case: Situation) -> None:
    """Poolings: as many as let the network see the largest things as a whole."""
    fold = choices.model_options().get("fold", 1)
    depth = _depth(choices, case, fold)
    coarsest = choices["patches.size"] // (fold * 2**depth)
    sees = (
        f"sees about {_field(fold * 2**depth)} pixels across, and things are up to {_largest(case):.0f} wide"
    )
    reason = f"{sees}; the coarsest level still has {coarsest}x{coarsest} pixels of a patch"
    choices.choose("model.options.depth", depth, reason)


def _depth(choices: Choices, case: Situation, fold: int) -> int:
    halvings, most = _HALVINGS
    patch = choices["patches.size"]
    while halvings < most and (_field(2**halvings) < _largest(case) or patch >= _ROOMY * 2 ** (halvings + 1)):
        halvings += 1
    halvings = max(1, min(halvings, int(math.log2(patch / _COARSEST))))
    return max(1, halvings - int(math.log2(fold)))


def _field(multiple: int) -> int:
    """Receptive field of two convolutions of 3x3 on each level, about: 140 pixels of four halvings."""
    return 9 * multiple


def _largest(case: Situation) -> float:
    """Width of the largest things, pixels."""
    if case.task == "classes" and case.classes > 2:
        return max(case.objects.thickness)
    return case.objects.width[2]
