"""A data set's fingerprint: the facts of all its files, and a closer look at some of them, within seconds."""

import time
from collections.abc import Sequence

import numpy as np

from uvala.data.dataset import Dataset
from uvala.data.facts import Facts
from uvala.data.object_looks import Look, gather_objects, look_at_pair
from uvala.data.sample import Sample

__all__ = ["SECONDS", "take_fingerprint"]

_MOST = 32  # pairs that are looked at closely: percentiles of sizes are within a tenth or so by then
_LEAST = 2  # pairs, however long they take

SECONDS = 3.0
"""After which no other pair is looked at."""


def take_fingerprint(dataset: Dataset, samples: Sequence[Sample], *, seconds: float = SECONDS) -> Facts:
    """The facts of some samples, those of their objects included.

    The objects are those of some pairs, the same ones each time. seconds: after which no other pair is looked
    at; then how many there were depends on the machine.
    """
    facts = dataset.facts_of(samples)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(samples))[:_MOST]
    began = time.monotonic()
    looks: list[Look] = []
    for index in order:
        if len(looks) >= _LEAST and time.monotonic() - began > seconds:
            break
        sample = samples[int(index)]
        looks.append(
            look_at_pair(
                dataset.image(sample),
                dataset.classes(sample),
                dataset.instances(sample),
                dataset.encoding.num_classes,
                rng,
            )
        )
    return facts.model_copy(update={"objects": gather_objects(looks)})
