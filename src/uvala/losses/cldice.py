"""Soft clDice: Shit et al. (2021), arXiv:2003.07311. Whether thin structures hang together."""

from collections.abc import Sequence

import torch
from torch import Tensor

from uvala.errors import ConfigError
from uvala.losses.comparison import TINY, Comparison
from uvala.losses.neighbours import largest_of_nine, smallest_of_cross
from uvala.losses.present_mean import present_mean

__all__ = ["cldice_loss", "soft_skeleton"]


def cldice_loss(compared: Comparison, *, iterations: int, classes: Sequence[int] = ()) -> Tensor:
    """1 - mean soft clDice over the batch of those `classes` that the truth holds; 0 if it holds none.

    The harmonic mean of how much of the prediction's skeleton lies in the truth, and of the truth's skeleton
    in the prediction. classes: the thin ones; none given: all but class 0, or all if they are not exclusive.
    iterations: see `soft_skeleton`. What is ignored is cut out of both before they are thinned. Raises
    ConfigError for a class that there is not.
    """
    count = compared.logits.shape[1]
    chosen = list(classes or range(int(compared.exclusive), count))
    if max(chosen) >= count:
        raise ConfigError(
            found=f"loss.cldice_classes = {chosen} for {count} classes",
            expected=f"class numbers 0 to {count - 1}",
            fix="name the thin classes by their numbers, or leave it empty for all but class 0",
        )
    p = (compared.probabilities * compared.known)[:, chosen]  # [B, k, H, W]
    t = compared.truth[:, chosen]
    thin_p, thin_t = soft_skeleton(p, iterations), soft_skeleton(t, iterations)
    parts = [(thin_p * t), thin_p, (thin_t * p), thin_t]
    p_in_t, of_p, t_in_p, of_t = compared.over_ranks(torch.stack([each.sum(dim=(0, 2, 3)) for each in parts]))
    precision, sensitivity = p_in_t / of_p.clamp_min(TINY), t_in_p / of_t.clamp_min(TINY)  # equation 1
    cldice = 2 * precision * sensitivity / (precision + sensitivity).clamp_min(TINY)  # equation 2
    return present_mean(compared, 1 - cldice, of_t > 0)


def soft_skeleton(shares: Tensor, iterations: int) -> Tensor:
    """The middle lines of what is near 1, differentiable (algorithm 1): 0 to 1, [B, K, H, W], as shares.

    iterations: half the width in pixels of the widest line that is to be thinned. Minimum over a pixel and
    its four neighbours, maximum over all eight, as in the authors' code.
    """
    eroded = smallest_of_cross(shares)
    skeleton = (shares - largest_of_nine(eroded)).relu()
    for _ in range(iterations):
        shares, eroded = eroded, smallest_of_cross(eroded)
        skeleton = skeleton + (1 - skeleton) * (shares - largest_of_nine(eroded)).relu()
    return skeleton
