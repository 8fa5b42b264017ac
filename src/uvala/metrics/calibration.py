"""Temperature scaling: one number, fitted on held-out pixels, that makes probabilities mean what they say.

Source: Guo et al. (2017), "On calibration of modern neural networks", arXiv:1706.04599, section 4.2. Networks
are mostly overconfident; logits divided by T > 1 are less so, and the order of the classes stays as it is.
Since softmax(log p / T) = softmax(logits / T), probabilities are all that is needed.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from uvala.arrays import IGNORE, ClassMap
from uvala.errors import ShapeError

__all__ = [
    "HIGHEST_TEMPERATURE",
    "LOWEST_TEMPERATURE",
    "fit_temperature",
    "sample_pixels",
    "with_temperature",
]

# Pixels that are all right would be likeliest at T = 0, pixels that know nothing at T = infinity. Trained
# networks lie between 0.5 and 5; a result at a bound says that the sample cannot tell.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 10.0
LEAST_LOG = float(np.log(np.finfo(np.float32).tiny))  # -87.3: what log 0 is taken for


def fit_temperature(log_probabilities: NDArray[Any], classes: NDArray[Any]) -> float:
    """The T, 0.1 to 10, for which softmax(log p / T) makes the true classes likeliest; 1 leaves p as it is.

    log_probabilities: float [N, K], natural logarithms of probabilities (or logits), -inf allowed. classes:
    int [N], 0 to K - 1. The likelihood is concave in 1/T, so that it has one maximum and the search cannot
    miss it. Never less likely on these pixels than T = 1. Raises ShapeError for other input and for no
    pixels. Source: Guo et al. (2017), equation 9.
    """
    _check_sample(log_probabilities, classes)
    logs = np.maximum(log_probabilities.astype(np.float64), LEAST_LOG)
    logs -= logs.max(axis=1, keepdims=True)  # so that no exponential overflows
    of_truth = logs[np.arange(len(logs)), classes]

    def surprise(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(scale * logs).sum(axis=1)) - scale * of_truth))

    low, high = np.log([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE])
    found = minimize_scalar(surprise, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    # the search comes close to a bound without reaching it; of equals, the first: T = 1 changes nothing
    best = float(np.exp(min(0.0, float(found.x), low, high, key=surprise)))
    return min(max(best, LOWEST_TEMPERATURE), HIGHEST_TEMPERATURE)  # exp(log(10)) is a little more than 10


def with_temperature(probabilities: NDArray[Any], temperature: float) -> NDArray[np.float32]:
    """softmax(log p / T) over the classes: float32 [K, H, W], sum 1. The likeliest class stays what it is.

    probabilities: float [K, H, W], 0 to 1. A probability of 0 stays 0. temperature: T > 0; above 1 it makes
    the probabilities less certain. Raises ShapeError for other numbers. Source: Guo et al. (2017), section
    4.2.
    """
    if not 0 < temperature < np.inf:
        raise ShapeError(
            found=f"a temperature of {temperature}",
            expected="a positive number; 1 changes nothing",
            fix="take the one that fit_temperature returns",
        )
    with np.errstate(divide="ignore"):
        scaled = np.log(probabilities, dtype=np.float32)
    scaled -= scaled.max(axis=0)
    scaled *= np.float32(1 / temperature)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=0)
    _keep_winner(scaled, probabilities.argmax(axis=0))
    return scaled


def sample_pixels(
    probabilities: NDArray[Any],
    truth: ClassMap,
    most: int,
    rng: np.random.Generator,
    *,
    counted: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32], ClassMap]:
    """Up to `most` pixels of an image, each as likely as any other: what `fit_temperature` wants.

    probabilities: float [K, H, W]. truth: uint8 [H, W], 255 is not counted. Returns log p, float32 [N, K],
    and the true classes, uint8 [N]; -inf where p is 0. The same `most` for each image makes large images
    count no more than small ones. Raises ShapeError if the shapes do not fit.
    """
    if probabilities.ndim != 3 or probabilities.shape[1:] != truth.shape:
        raise ShapeError(
            found=f"probabilities of shape {probabilities.shape} for a truth of shape {truth.shape}",
            expected="[K, H, W] and [H, W]",
            fix="put the classes first",
        )
    looked_at = np.flatnonzero(truth != IGNORE if counted is None else counted & (truth != IGNORE))
    if looked_at.size > most:
        looked_at = rng.choice(looked_at, most, replace=False, shuffle=False)
    chosen = probabilities.reshape(len(probabilities), -1)[:, looked_at]
    with np.errstate(divide="ignore"):
        return np.log(chosen.T, dtype=np.float32), truth.ravel()[looked_at]


def _keep_winner(scaled: NDArray[np.float32], winner: NDArray[np.intp]) -> None:
    """Where rounding has made two probabilities equal, let the one win that did before (in place)."""
    rows, columns = np.nonzero(scaled.argmax(axis=0) != winner)
    chosen = winner[rows, columns], rows, columns
    scaled[chosen] = np.nextafter(scaled[:, rows, columns].max(axis=0), np.float32(np.inf))


def _check_sample(log_probabilities: NDArray[Any], classes: NDArray[Any]) -> None:
    fits = log_probabilities.ndim == 2 and log_probabilities.shape[:1] == classes.shape and classes.size > 0
    fits = fits and log_probabilities.dtype.kind == "f" and classes.dtype.kind in "ui"
    fits = fits and log_probabilities.shape[1] >= 2
    if fits and classes.min() >= 0 and classes.max() < log_probabilities.shape[1]:
        largest = log_probabilities.max(axis=1)
        if np.isfinite(largest).all() and not np.isnan(log_probabilities).any():
            return
    raise ShapeError(
        found=f"log-probabilities of shape {log_probabilities.shape} and type {log_probabilities.dtype} for "
        f"classes of shape {classes.shape} and type {classes.dtype}, or values that are neither",
        expected="float [N, K] with a finite number in each row, and the class of each row, 0 to K - 1",
        fix="gather them with sample_pixels; ignored pixels have no place here",
    )
