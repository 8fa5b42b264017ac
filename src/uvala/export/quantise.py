"""Weights and activations of 8 bits, by NNCF (Apache-2.0, kept by OpenVINO's makers), without training.

Source: Jacob et al. (2018), arXiv:1712.05877; what NNCF makes of it, in its documentation.
"""

import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np

from uvala.arrays import ImageArray
from uvala.export.extras import require
from uvala.prediction.file_card import IMAGE, LEVELS, FileCard

__all__ = ["quantised"]

_SIDE = 512  # pixels of an image that calibration looks at along a side: it runs each layer over all of them
_NO_REPORT = "NNCF_CI"  # where this is set, NNCF is silent


def quantised(model: Any, card: FileCard, images: Sequence[ImageArray]) -> Any:
    """The graph, of ONNX or OpenVINO, with 8 bits; images [C, H, W], in units of the file, give the ranges.

    What stands before and behind the network keeps its 32 bits: intensities span what 8 bits cannot tell.
    """
    with _silent():
        nncf = require("nncf", "int8")
        data = nncf.Dataset([_inputs(card, image) for image in images])
        kept = nncf.IgnoredScope(types=_KEPT, patterns=_KEPT_NAMES, validate=False)
        return nncf.quantize(model, data, subset_size=len(images), ignored_scope=kept)


_KEPT = ["Sub", "Div", "Subtract", "Divide", "Softmax", "Sigmoid", "ReduceLogSumExp", "ReduceLogSum", "Exp"]
"""Layers that stay as they are, by ONNX's and OpenVINO's names; those that neither has are passed over."""


_KEPT_NAMES = [r".*/scalings\.\d+/.*"]
"""Everything that finds the levels of an image, and scales it by them: `module.WholeNetwork.scalings`."""


def _inputs(card: FileCard, image: ImageArray) -> dict[str, Any]:
    part = np.ascontiguousarray(image[None, :, :_SIDE, :_SIDE], np.float32)
    levels = {LEVELS: np.full((1, len(image), 2), np.nan, np.float32)} if card.levels else {}
    return {IMAGE: part, **levels}


@contextmanager
def _silent() -> Iterator[None]:
    """Without NNCF's progress on the terminal, and without its report over the network that it is used."""
    level = logging.root.manager.disable
    known = os.environ.get(_NO_REPORT)
    logging.disable(logging.WARNING)
    os.environ[_NO_REPORT] = "1"
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        if known is None:
            del os.environ[_NO_REPORT]
