"""Cross-entropy, over exclusive classes or class by class."""

from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from uvala.losses.comparison import Comparison
from uvala.losses.pixel_mean import EVEN, Weighing, pixel_mean

__all__ = ["binary_cross_entropy", "cross_entropy"]


def cross_entropy(compared: Comparison, *, label_smoothing: float = 0.0, weighing: Weighing = EVEN) -> Tensor:
    """Mean cross-entropy in nats over the known pixels; 0 if there are none.

    Of a softmax, or, where classes are not exclusive, of a sigmoid for each and their mean.
    label_smoothing: share of the truth that is spread evenly over all classes, or over yes and no, 0 to 0.5
    (Szegedy et al. 2016, arXiv:1512.00567, section 7).
    """
    losses = compared.surprisal
    if label_smoothing and compared.exclusive:
        # -log p_k = log sum(exp z) - z_k: of any class, that of the true one plus the difference of logits
        true = compared.logits.gather(1, compared.target)
        losses = losses + label_smoothing * (true - compared.logits.mean(dim=1, keepdim=True))
    elif label_smoothing:
        truth = compared.truth * (1 - label_smoothing) + label_smoothing / 2
        losses = F.binary_cross_entropy_with_logits(compared.logits, truth, reduction="none")
    return pixel_mean(compared, losses, weighing)


def binary_cross_entropy(
    compared: Comparison, *, label_smoothing: float = 0.0, weighing: Weighing = EVEN
) -> Tensor:
    """Mean cross-entropy of each class against all others, whether or not they are exclusive."""
    return cross_entropy(
        replace(compared, exclusive=False), label_smoothing=label_smoothing, weighing=weighing
    )
