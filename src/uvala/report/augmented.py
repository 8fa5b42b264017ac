"""What a network sees of the training images: some patches, each as it is and as the plan changes it.

The patches go through the very functions that a training calls, with the generators of its first samples.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from uvala.augment.config import AugmentConfig
from uvala.augment.policy import augment_batch
from uvala.augment.spatial import window_margin
from uvala.data.dataset import Dataset
from uvala.data.normalise import denormalise
from uvala.data.patches import PatchSampler
from uvala.data.store import ImageStore
from uvala.plan.schema import Plan
from uvala.report.content import AugmentedPatch
from uvala.report.sentences import listed, percent
from uvala.training.seeds import sample_generator

__all__ = ["augmentation_words", "augmented_patches"]

ROWS = 4  # patches, of as many images if there are
VERSIONS = 5  # of each
_SAME = (1.0, 1.0)  # the range of a factor that changes nothing


def augmented_patches(dataset: Dataset, names: Sequence[str], plan: Plan) -> list[AugmentedPatch]:
    """Patches of images of `dataset` with these names, as they are and changed as `plan` says.

    Each shows a class of its image that was drawn evenly, so that there is something to see. Empty if there
    are no names.
    """
    spread = np.linspace(0, len(names) - 1, min(ROWS, len(names))).round().astype(int)
    samples = dataset.subset([names[index] for index in spread])
    if not samples:
        return []
    margin, patch = window_margin(plan.augment, plan.patches.size), plan.patches.size
    config = plan.patches.model_copy(update={"batch": 1, "class_share": 1.0, "object_share": 0.0})
    store = ImageStore(dataset, plan.normalisation)  # without maps: only classes are shown
    rows = [samples[row % len(samples)] for row in range(ROWS)]
    drawn = [
        PatchSampler(store, [sample], config, margin, plan.seed).windows(row // len(samples))
        for row, sample in enumerate(rows)
    ]
    windows, masks, maps = (torch.from_numpy(np.concatenate(part)) for part in zip(*drawn, strict=True))
    versions = [_still(windows, masks, margin, patch)]
    for version in range(VERSIONS):
        numbers = range(version * ROWS, (version + 1) * ROWS)
        generators = [sample_generator(plan.seed, number) for number in numbers]
        versions.append(augment_batch(windows, masks, maps, plan.augment, patch, generators)[:2])
    images, truths = (torch.stack(part, dim=1).numpy() for part in zip(*versions, strict=True))
    return [
        AugmentedPatch(sample.name, denormalise(image, store[sample].scale, dataset.dtype), truth)
        for sample, image, truth in zip(rows, images, truths, strict=True)
    ]


def _still(
    windows: torch.Tensor, masks: torch.Tensor, margin: int, patch: int
) -> tuple[torch.Tensor, torch.Tensor]:
    middle = (..., slice(margin, margin + patch), slice(margin, margin + patch))
    return windows[middle], masks[middle]


def augmentation_words(config: AugmentConfig, channels: int) -> list[tuple[str, str]]:
    """How images of `channels` channels are changed: what about them, and how; in brackets, how many patches.

    Geometry, intensity and content, without those of which there is nothing to say.
    """
    kinds = (
        ("Place and shape", [*_symmetries(config), *_geometry(config)]),
        ("Light and sharpness", [*_light(config, channels), *_sharpness(config)]),
        ("Content", [*_content(config)]),
    )
    return [(about, listed(words, len(words))) for about, words in kinds if words]


def _symmetries(config: AugmentConfig) -> Iterator[str]:
    if config.flip_horizontal:
        yield "mirrored left to right (50%)"
    if config.flip_vertical:
        yield "mirrored top to bottom (50%)"
    if config.quarter_turns:
        yield "turned by quarter turns (75%)"


def _geometry(config: AugmentConfig) -> Iterator[str]:
    if config.rotation:
        yield from _share(f"rotated by up to {config.rotation:g}°", config.rotation_probability)
    if config.scale != _SAME:
        yield from _share(f"magnified {_range(config.scale)} times", config.scale_probability)
    if config.shear:
        yield from _share(f"sheared by up to {config.shear:g}", config.shear_probability)
    if config.elastic:
        yield from _share(f"bent by about {config.elastic:g} pixels", config.elastic_probability)


def _light(config: AugmentConfig, channels: int) -> Iterator[str]:
    if config.contrast != _SAME:
        yield from _share(f"contrast {_range(config.contrast)} times", config.contrast_probability)
    if config.gain != _SAME:
        yield from _share(f"all values {_range(config.gain)} times", config.gain_probability)
    if config.brightness:
        yield from _share("brighter or darker", config.brightness_probability)
    if config.colour and channels > 1:
        yield from _share("tinted", config.colour_probability)
    if config.gamma != _SAME:
        yield from _share(f"gamma {_range(config.gamma)}", config.gamma_probability)


def _sharpness(config: AugmentConfig) -> Iterator[str]:
    yield from _share(f"blurred by {_range(config.blur)} pixels", config.blur_probability)
    if config.sharpen:
        yield from _share("sharpened", config.sharpen_probability)
    if config.low_resolution != _SAME:
        left = _range(config.low_resolution, percent)
        yield from _share(f"{left} of the resolution", config.low_resolution_probability)
    if config.noise:
        yield from _share("noise", config.noise_probability)


def _content(config: AugmentConfig) -> Iterator[str]:
    yield from _share("rectangles hidden", config.cutout_probability)
    yield from _share("a rectangle of another patch", config.cutmix_probability)
    yield from _share("objects of another patch on the background", config.copy_paste_probability)


def _share(words: str, probability: float) -> Iterator[str]:
    """The words with the share of patches they are true of; nothing if it is none."""
    if probability:
        yield f"{words} ({percent(probability)})"


def _range(bounds: tuple[float, float], words: Callable[[float], str] = "{:g}".format) -> str:
    return " to ".join(dict.fromkeys(words(bound) for bound in bounds))
