"""The plainest way from a mask to objects: what hangs together is one."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from uvala.arrays import LabelMap
from uvala.errors import ShapeError

__all__ = ["connected_components"]


def connected_components(mask: NDArray[np.bool_], connectivity: Literal[1, 2] = 1) -> LabelMap:
    """The objects of a mask, numbered 1..n in the order in which its rows meet them: int32 [H, W], 0 outside.

    mask: bool [H, W]. connectivity as in scikit-image: 1 joins pixels that share an edge (4 neighbours), 2
    also those that share a corner (8 neighbours). 1 is the default: two cells that meet at a corner are two.
    Raises ShapeError if the mask is not bool [H, W].
    """
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise ShapeError(
            found=f"a mask of shape {mask.shape} and type {mask.dtype}",
            expected="bool [H, W]",
            fix="compare first: `classes == 1`, `probability > 0.5`",
        )
    if connectivity not in (1, 2):
        raise ShapeError(
            found=f"connectivity = {connectivity}",
            expected="1 (neighbours share an edge) or 2 (an edge or a corner)",
            fix="4 neighbours are connectivity 1, 8 neighbours are connectivity 2",
        )
    labels = np.empty(mask.shape, np.int32)
    ndimage.label(mask, structure=ndimage.generate_binary_structure(2, connectivity), output=labels)
    return labels
