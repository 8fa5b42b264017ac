"""How sure a prediction is, pixel by pixel: 0 (sure) to 1 (all classes equally likely).

Sources: Shannon (1948) for the entropy; Houlsby et al. (2011), arXiv:1112.5745, for its parts: what the mean
of several predictions does not know is what each does not know by itself (noise in the image), and what they
do not agree on (the mutual information), which is large where the image is unlike those trained on.
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["disagreement_of", "entropy_of"]

FloatMap = NDArray[np.float32]


def entropy_of(probabilities: FloatMap) -> FloatMap:
    """The entropy of probabilities [K, H, W] in units of log K: float32 [H, W], 0 to 1."""
    least = np.finfo(np.float32).tiny  # 0 log 0 is 0
    total = np.zeros(probabilities.shape[1:], np.float32)
    for each in probabilities:
        total -= each * np.log(np.maximum(each, least))
    total /= np.float32(math.log(len(probabilities)))
    return total.clip(0, 1)


def disagreement_of(entropy: FloatMap, mean_entropy: FloatMap) -> FloatMap:
    """The mutual information of the classes and the choice of a view or network: float32 [H, W], 0 to 1.

    entropy: of the mean prediction. mean_entropy: the mean of the entropies of each. Both of `entropy_of`.
    """
    return (entropy - mean_entropy).clip(0, 1)
