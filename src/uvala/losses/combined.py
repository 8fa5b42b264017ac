"""The sum of losses that a plan names."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from uvala.arrays import IGNORE
from uvala.losses.boundary import boundary_loss
from uvala.losses.cldice import cldice_loss
from uvala.losses.comparison import Comparison, OverRanks, compare, identity
from uvala.losses.config import LossConfig
from uvala.losses.cross_entropy import binary_cross_entropy, cross_entropy
from uvala.losses.dice import dice_loss
from uvala.losses.distance import distance_loss
from uvala.losses.focal import focal_loss
from uvala.losses.lovasz import lovasz_loss
from uvala.losses.pixel_mean import Weighing
from uvala.losses.tversky import tversky_loss

__all__ = ["TERMS", "Loss", "over_outputs", "segmentation_loss"]

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(logits [B, L, H, W], target int64 [B, H, W], maps float [B, M, H, W] or None) -> scalar"""

Term = Callable[[Comparison, Weighing, LossConfig], Tensor]

TERMS: Mapping[str, Term] = {
    "cross_entropy": lambda c, w, o: cross_entropy(c, label_smoothing=o.label_smoothing, weighing=w),
    "binary_cross_entropy": lambda c, w, o: binary_cross_entropy(
        c, label_smoothing=o.label_smoothing, weighing=w
    ),
    "focal": lambda c, w, o: focal_loss(c, gamma=o.focal_gamma, weighing=w),
    "dice": lambda c, _, o: dice_loss(c, over=o.dice_over, background=o.dice_background),
    "tversky": lambda c, _, o: tversky_loss(
        c, alpha=o.tversky_alpha, beta=o.tversky_beta, gamma=o.tversky_gamma, over=o.dice_over
    ),
    "lovasz": lambda c, _w, _o: lovasz_loss(c),
    "cldice": lambda c, _, o: cldice_loss(c, iterations=o.cldice_iterations, classes=o.cldice_classes),
    "boundary": lambda c, _w, _o: boundary_loss(c),
}
"""Each loss of the classes, under the name of its weight in `LossConfig`."""


def segmentation_loss(
    config: LossConfig, device: torch.device, *, objects: str = "classes", over_ranks: OverRanks = identity
) -> Loss:
    """A function of logits [B, L, H, W], target int64 [B, H, W] and maps [B, M, H, W] to a scalar.

    target: 0 to K-1 or IGNORE; or float [B, K, H, W], as in `compare`, for classes that do not exclude each
    other. objects: what is learnt besides the classes, as in `TargetConfig.objects`. "weights": maps[:, 0]
    are the weights of the pixels in the cross-entropies and the focal loss. "distance": maps[:, 0] is the
    distance to the outline, 0 to 1, which the last of the L = K + 1 logits predicts. Without maps, the
    classes alone are compared.
    over_ranks: sums over the ranks where each holds a part of the batch: then every rank gets the loss of the
    whole batch.
    """
    class_weights = torch.tensor(config.class_weights, device=device) if config.class_weights else None
    terms = {name: term for name, term in TERMS.items() if getattr(config, name)}

    def loss(logits: Tensor, target: Tensor, maps: Tensor | None = None) -> Tensor:
        total = logits.new_zeros((), dtype=torch.float32)
        if objects == "distance":
            if maps is not None:
                error = distance_loss(logits[:, -1], maps[:, 0], target, over_ranks=over_ranks)
                total = total + config.distance * error
            logits = logits[:, :-1]
        weighing = Weighing(
            classes=_with_border(class_weights, logits.shape[1]) if objects == "borders" else class_weights,
            pixels=maps[:, 0] if maps is not None and objects == "weights" else None,
            hard_share=config.hard_pixels,
            hard_least=config.hard_pixels_least,
        )
        compared = compare(logits, target, over_ranks=over_ranks)
        for name, term in terms.items():
            total = total + getattr(config, name) * term(compared, weighing, config)
        return total

    return loss


def _with_border(class_weights: Tensor | None, logits: int) -> Tensor | None:
    """The weights with one for the border, the last of the logits: that of the object, the last class."""
    if class_weights is None or len(class_weights) != logits - 1:
        return class_weights
    return torch.cat([class_weights, class_weights[-1:]])


def over_outputs(
    loss: Loss,
    outputs: Tensor | Sequence[Tensor],
    target: Tensor,
    weights: Sequence[float] | None,
    maps: Tensor | None = None,
) -> Tensor:
    """The weighted sum of `loss` over the outputs of deep supervision; of one tensor, its loss.

    outputs: logits [B, L, H, W], or several [B, L, h, w] of which each is compared with the target, int64
    [B, H, W] (0 to K-1 or IGNORE), and the maps, float [B, M, H, W], at its own size: with the middle pixel
    of each square of ceil(H / h) by ceil(W / w) that it stands for. A middle beyond the border counts as
    ignored. weights: one for each output of several.
    """
    if isinstance(outputs, Tensor):
        return loss(outputs, target, maps)
    assert weights is not None, "a network with several outputs says how much each counts"
    terms = [
        weight * loss(logits, _resized(target, logits), None if maps is None else _resized(maps, logits))
        for logits, weight in zip(outputs, weights, strict=True)
        if weight
    ]
    return torch.stack(terms).sum()


def _resized(target: Tensor, logits: Tensor) -> Tensor:
    """The middle pixels of the squares that the logits stand for: [..., H, W] -> [..., h, w]."""
    # not by interpolation: to the nearest takes the upper left pixel, and divides H evenly where the logits'
    # squares hang over the border
    (height, width), (rows, columns) = target.shape[-2:], logits.shape[-2:]
    down, right = -(-height // rows), -(-width // columns)
    # of a map, what lies beyond the border does not matter: the target is ignored there
    padded = F.pad(target, (0, right * columns - width, 0, down * rows - height), value=IGNORE)
    return padded[..., down // 2 :: down, right // 2 :: right]
