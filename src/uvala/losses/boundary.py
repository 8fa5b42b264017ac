"""Boundary loss: Kervadec et al. (2019), arXiv:1812.07032. How far beyond the outline a mistake is.

The distances come from the truth as it is after augmentation, by scipy on the CPU, outside of autograd: two
distance transforms for each class of each patch, about 5 ms for 256 by 256 pixels; two classes cost as much
as one. On a GPU each step waits for them.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from uvala.losses.comparison import Comparison
from uvala.losses.pixel_mean import pixel_mean

__all__ = ["boundary_loss", "signed_distances"]


def boundary_loss(compared: Comparison) -> Tensor:
    """Mean of (p - t) times the signed distance to the outline, over known pixels and classes, in pixels.

    p the probability and t the truth of a class: the paper's integral with the term that it leaves out as
    constant, so that a perfect prediction costs 0. Of little use alone: to find nothing
    of a small object costs next to nothing.
    """
    distances = signed_distances(
        compared.truth.detach().cpu().numpy() > 0.5, compared.known[:, 0].cpu().numpy() > 0
    )
    far = torch.from_numpy(distances).to(compared.logits)
    return pixel_mean(compared, (compared.probabilities - compared.truth) * far)


def signed_distances(truth: NDArray[Any], known: NDArray[Any]) -> NDArray[np.float32]:
    """Distance of each pixel's centre to the outline of each class, negative inside, pixels: [B, K, H, W].

    truth: bool [B, K, H, W]. known: bool [B, H, W]. The outline runs between the pixels, half a pixel from
    the centres next to it. Where nothing is known, the nearest known pixel is taken to go on, so that no
    outline runs along what is ignored. 0 for a class that fills its patch or is not in it.
    """
    distances = np.zeros(truth.shape, np.float32)
    for sample, (classes, seen) in enumerate(zip(truth, known, strict=True)):
        if not seen.all():
            rows, columns = distance_transform_edt(~seen, return_distances=False, return_indices=True)
            classes = classes[:, rows, columns]
        two = len(classes) == 2 and (classes[0] != classes[1]).all()
        for number, inside in enumerate(classes):
            if two and number == 1:
                distances[sample, 1] = -distances[sample, 0]  # the other side of the same outline
            elif inside.any() and not inside.all():
                distances[sample, number] = distance_transform_edt(~inside) - distance_transform_edt(inside)
                distances[sample, number] += inside - np.float32(0.5)
    return distances
