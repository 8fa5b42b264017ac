"""The maps of a prediction as numbers that are stored: names, channels and number formats.

mask            uint8 [1]       class indices
probabilities   [K]             of each class, if asked for
uncertainty     [1 or 2]        entropy and disagreement, if asked for
foreground, borders, distance   float32 [1]: what objects are found in, if they are asked for; rounded less,
                                they would not be the objects of the maps in memory
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from uvala.data.masks import MaskEncoding
from uvala.images.stage import Layer
from uvala.instances.config import ObjectConfig
from uvala.instances.decode import Maps
from uvala.prediction.engine import ImagePredictor, uses_learnt_maps
from uvala.prediction.uncertainty import disagreement_of, entropy_of
from uvala.prediction.wanted import Precision, Wanted
from uvala.runs.card import Card
from uvala.runs.inference import Outputs

__all__ = [
    "channel_names",
    "layers_of",
    "maps_of",
    "needs_objects",
    "precision_of",
    "quantised",
    "uncertainty_maps",
    "values_of",
]


def layers_of(predictor: ImagePredictor, wanted: Wanted) -> dict[str, Layer]:
    """What is stored of each pixel of a large image."""
    card = predictor.card
    kind = precision_of(wanted.precision, large=True)
    layers = {"mask": Layer(1, np.dtype(np.uint8))}
    if wanted.probabilities:
        layers["probabilities"] = Layer(card.network.num_classes, kind)
    if wanted.uncertainty:
        layers["uncertainty"] = Layer(1 + (predictor.votes > 1), kind)
    if needs_objects(card, wanted):
        names = ["foreground", *_learnt(card)]
        layers |= {name: Layer(1, np.dtype(np.float32)) for name in names}
    return layers


def values_of(
    outputs: Outputs, layers: Mapping[str, Layer], decoding: ObjectConfig
) -> dict[str, NDArray[Any]]:
    """What each layer holds of a block: [N, height, width]."""
    return {name: quantised(_map_of(name, outputs, decoding), layer.dtype) for name, layer in layers.items()}


def uncertainty_maps(
    probabilities: NDArray[np.float32], mean_entropy: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Entropy and, where it is known, disagreement: float32 [1 or 2, H, W]."""
    entropy = entropy_of(probabilities)
    known = [] if mean_entropy is None else [disagreement_of(entropy, mean_entropy)]
    return np.stack([entropy, *known])


def quantised(values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Numbers 0 to 1 as floats, or as 0 to 255; class indices as they are."""
    kind = np.dtype(dtype)
    if kind.kind == "u" and values.dtype.kind == "f":
        return np.rint(values * np.float32(255)).clip(0, 255).astype(kind)
    return values.astype(kind)


def precision_of(precision: Precision, *, large: bool) -> np.dtype[Any]:
    """The number format of probabilities and uncertainty."""
    if precision == "auto":
        return np.dtype(np.uint8 if large else np.float32)
    return np.dtype(precision)


def needs_objects(card: Card, wanted: Wanted) -> bool:
    """Whether objects have to be found: they are asked for, or masks number them."""
    return bool(wanted.objects) or card.encoding.kind == "instances"


def maps_of(values: Mapping[str, NDArray[Any]]) -> Maps:
    """What objects are found in, of the layers [1, height, width] of a box."""
    known = {name: each[0] for name, each in values.items() if name in Maps._fields}
    return Maps(**known)


def channel_names(encoding: MaskEncoding, layer: str) -> tuple[str, ...]:
    """What the channels of a layer are called in a file."""
    if layer == "probabilities":
        return encoding.names
    return ("entropy", "disagreement") if layer == "uncertainty" else ()


def _map_of(name: str, outputs: Outputs, decoding: ObjectConfig) -> NDArray[Any]:
    """The numbers of a layer as the network said them: [N, height, width]."""
    if name == "mask":
        return _likeliest(outputs.probabilities)[None]
    if name == "probabilities":
        return outputs.probabilities
    if name == "uncertainty":
        return uncertainty_maps(outputs.probabilities, outputs.entropy)
    if name == "foreground":
        return outputs.probabilities[decoding.object_class][None]
    learnt: NDArray[np.float32] = getattr(outputs, name)
    return learnt[None]


def _likeliest(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """What argmax over the classes gives, of few classes in a tenth of its time: uint8 [H, W]."""
    best, mask = probabilities[0], np.zeros(probabilities.shape[1:], np.uint8)
    for index, each in enumerate(probabilities[1:], start=1):
        mask[each > best] = index
        best = np.maximum(best, each)
    return mask


def _learnt(card: Card) -> tuple[str, ...]:
    """The map besides the foreground that objects may be found in, whatever the method looks at.

    So another method may be tried with what an interrupted prediction has left.
    """
    learnt = card.network.objects
    return (learnt,) if learnt != "classes" and uses_learnt_maps(card.objects.settings) else ()
