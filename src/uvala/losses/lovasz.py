"""Lovasz-softmax and Lovasz-hinge: Berman et al. (2018), arXiv:1705.08790.

The Jaccard loss of a set of wrong pixels, continued to all errors between 0 and 1 so that it is convex and
exact at the corners: what is minimised is the intersection over union itself. Costs a sort of the pixels of
each class.
"""

import torch
from torch import Tensor

from uvala.losses.comparison import Comparison

__all__ = ["lovasz_loss"]


def lovasz_loss(compared: Comparison) -> Tensor:
    """1 - IoU, continued, of each image: the mean over its classes, then over the images; 0 if none is known.

    Exclusive classes: of |t - p|, over the classes that the image holds. Otherwise: of the hinges
    1 - z (2t - 1), z the logit, over all classes. Image by image, so that a batch is the mean of its parts.
    """
    if compared.exclusive:
        errors = (compared.truth - compared.probabilities).abs()
        counted = compared.truth.flatten(2).any(dim=2)  # [B, K]
    else:
        errors = 1 - compared.logits * (2 * compared.truth - 1)
        counted = compared.known.flatten(1).any(dim=1, keepdim=True).expand(errors.shape[:2])
    errors = errors.where(compared.known > 0, -1)  # sorted behind all that are wrong, and cut off there
    losses = _extended_jaccard(errors.flatten(2)[counted], compared.truth.flatten(2)[counted])  # [n]
    per_class = torch.zeros_like(counted, dtype=losses.dtype).masked_scatter(counted, losses)  # [B, K]
    per_image = per_class.sum(dim=1) / counted.sum(dim=1).clamp_min(1)
    return compared.quotient(per_image.sum(), counted.any(dim=1).sum().to(losses.dtype))


def _extended_jaccard(errors: Tensor, truth: Tensor) -> Tensor:
    """The Lovasz extension of the Jaccard loss at errors [n, P], of which those below 0 cost nothing: [n]."""
    errors, order = errors.sort(dim=1, descending=True)
    truth = truth.gather(1, order)
    area = truth.sum(dim=1, keepdim=True)
    missed, added = truth.cumsum(dim=1), (1 - truth).cumsum(dim=1)
    loss = 1 - (area - missed) / (area + added)  # of taking the first 1, 2, ... for wrong
    rise = torch.cat([loss[:, :1], loss.diff(dim=1)], dim=1)  # algorithm 1
    return (errors.relu() * rise).sum(dim=1)
