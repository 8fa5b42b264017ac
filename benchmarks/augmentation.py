"""Milliseconds that augmentation takes per 512x512 image with its mask: uvala and four other libraries.

python benchmarks/augmentation.py [--threads 2] [--rounds 15] [--channels 3] [--clock wall]

All do the same to every image: flips, a rotation, a magnification and an elastic deformation, image and mask
together, then contrast, brightness and gamma. Each library does it as its documentation says, on the type of
array that it is made for. In each round all of them take their turn on a batch of four images, in another
order; the table has the median of the rounds and the quartiles. A library that is not installed is named.
`--threads 1 --clock processor` counts processor time, which other work on the machine changes less.
At the end: what share of a training step uvala's augmentation is.
"""

import argparse
import importlib
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from uvala.augment.config import AugmentConfig
from uvala.augment.policy import augment_batch
from uvala.augment.spatial import window_margin
from uvala.losses.combined import segmentation_loss
from uvala.losses.config import LossConfig
from uvala.models.catalog import create_model
from uvala.training.seeds import sample_generator

SIDE, BATCH = 512, 4
DEGREES, SMALLEST, LARGEST, DISPLACEMENT, SPACING = 180.0, 0.75, 1.33, 8.0, 64
FULL = AugmentConfig(
    quarter_turns=False,  # a free rotation holds them
    rotation_probability=1,
    scale_probability=1,
    elastic_probability=1,
    contrast_probability=1,
    brightness_probability=1,
    gamma_probability=1,
    colour_probability=0,
    blur_probability=0,
    noise_probability=0,
)

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}

Run = Callable[[int], Any]
"""Augments one batch; the number says which, so that no two are changed alike."""


def main() -> None:
    """Print the table, and the share of a training step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--channels", type=int, choices=(1, 3), default=3)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="wall")
    wanted = parser.parse_args()
    clock = CLOCKS[wanted.clock]
    torch.set_num_threads(wanted.threads)
    images, masks = pictures(wanted.channels)
    contestants, missing = dict(installed(images, masks, wanted.threads)), absent()
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(wanted.rounds + 1):
        for name in random.Random(number).sample(list(contestants), len(contestants)):
            began = clock()
            contestants[name](number)
            if number:  # the first round warms up
                seconds[name].append((clock() - began) / BATCH)
    setting = f"{wanted.threads} threads, {wanted.rounds} rounds of {BATCH}, {wanted.clock} time"
    print(f"{wanted.channels} x {SIDE}x{SIDE}, {setting}\n")
    print("| library | ms per image | quartiles | times uvala |\n|---|--:|--:|--:|")
    ours = statistics.median(seconds["uvala"])
    for name, each in sorted(seconds.items(), key=lambda item: statistics.median(item[1])):
        low, middle, high = (1000 * quartile for quartile in statistics.quantiles(each, n=4))
        print(f"| {name} | {middle:.1f} | {low:.1f} to {high:.1f} | {middle / 1000 / ours:.1f} |")
    for name in missing:
        print(f"| {name} | not installed | | |")
    share_of_a_step(wanted.channels, max(3, wanted.rounds // 3), clock)


def pictures(channels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Smooth random images, uint8 [B, H, W, C], and their bright regions, uint8 [B, H, W]."""
    rng = np.random.default_rng(0)
    grain = rng.normal(size=(BATCH, SIDE, SIDE, channels))
    smooth = ndimage.gaussian_filter(grain, (0, 6, 6, 0))
    images = (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    return images, (images[..., 0] > 140).astype(np.uint8)


def absent() -> list[str]:
    """The names of the libraries that are not installed."""
    return [name for name, (module, _) in PEERS.items() if importlib.util.find_spec(module) is None]


def installed(images: NDArray[np.uint8], masks: NDArray[np.uint8], threads: int) -> Iterator[tuple[str, Run]]:
    """Name and function of each contestant that is installed."""
    yield "uvala", of_uvala(images, masks)
    if importlib.util.find_spec("cv2"):
        importlib.import_module("cv2").setNumThreads(threads)
    for name, (module, make) in PEERS.items():
        if importlib.util.find_spec(module):
            yield name, make(images, masks)


def floats(images: NDArray[np.uint8]) -> torch.Tensor:
    """Float [B, C, H, W], -1 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous() / 127.5 - 1


def of_uvala(images: NDArray[np.uint8], masks: NDArray[np.uint8], config: AugmentConfig = FULL) -> Run:
    """Windows with their margin, as a training gets them."""
    margin = window_margin(config, SIDE)
    wide = np.pad(images, ((0, 0), (margin,) * 2, (margin,) * 2, (0, 0)), mode="reflect")
    windows = floats(wide)
    around = torch.from_numpy(np.pad(masks, ((0, 0), (margin,) * 2, (margin,) * 2), constant_values=255))
    maps = windows[:, :0]

    def run(number: int) -> Any:
        generators = [sample_generator(0, number * BATCH + slot) for slot in range(BATCH)]
        return augment_batch(windows, around, maps, config, SIDE, generators)

    return run


def of_torchvision(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Run:
    """Affine and elastic are two transforms, and two resamplings."""
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    change = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomAffine(DEGREES, scale=(SMALLEST, LARGEST), interpolation=v2.InterpolationMode.BILINEAR),
            v2.ElasticTransform(),  # a smoothing as wide as that of the others takes 20 times as long
            v2.ColorJitter(brightness=0.2, contrast=0.25),
            v2.Lambda(
                lambda image: v2.functional.adjust_gamma(image, random.uniform(0.7, 1.5)), tv_tensors.Image
            ),
        ]
    )
    pairs = [
        (tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1).contiguous()), tv_tensors.Mask(mask))
        for image, mask in zip(images, torch.from_numpy(masks), strict=True)
    ]
    return lambda _: [change(*pair) for pair in pairs]


def of_albumentations(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Run:
    """OpenCV on uint8; affine and elastic are two resamplings. `approximate` is its faster elastic."""
    import albumentations

    change = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.VerticalFlip(p=0.5),
            albumentations.Affine(rotate=(-DEGREES, DEGREES), scale=(SMALLEST, LARGEST), p=1),
            albumentations.ElasticTransform(
                alpha=SPACING * DISPLACEMENT, sigma=SPACING / 4, approximate=True, p=1
            ),
            albumentations.RandomBrightnessContrast(p=1),
            albumentations.RandomGamma((70, 150), p=1),
        ]
    )
    return lambda _: [change(image=i, mask=m) for i, m in zip(images, masks, strict=True)]


def of_monai(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Run:
    """Affine and elastic in one resampling."""
    from monai import transforms

    both = ["image", "mask"]
    change = transforms.Compose(
        [
            transforms.RandFlipd(both, prob=0.5, spatial_axis=0),
            transforms.RandFlipd(both, prob=0.5, spatial_axis=1),
            transforms.Rand2DElasticd(
                both,
                spacing=(SPACING, SPACING),
                magnitude_range=(DISPLACEMENT, DISPLACEMENT),
                prob=1,
                rotate_range=np.pi,
                scale_range=(SMALLEST - 1, LARGEST - 1),
                mode=["bilinear", "nearest"],
                padding_mode="reflection",
            ),
            transforms.RandScaleIntensityd("image", 0.25, prob=1),
            transforms.RandShiftIntensityd("image", 0.2, prob=1),
            transforms.RandAdjustContrastd("image", prob=1, gamma=(0.7, 1.5)),
        ]
    )
    truths = torch.from_numpy(masks)[:, None].float()
    samples = [{"image": i, "mask": m} for i, m in zip(floats(images), truths, strict=True)]
    return lambda _: [change(dict(sample)) for sample in samples]


def of_batchgenerators(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> Run:
    """Affine and elastic in one resampling; the displacements are noise that a Fourier transform smooths."""
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

    change = ComposeTransforms(
        [
            SpatialTransform(
                (SIDE, SIDE),
                0,
                False,
                p_elastic_deform=1,
                elastic_deform_scale=SPACING / 2 / SIDE,
                elastic_deform_magnitude=2 * DISPLACEMENT,
                p_rotation=1,
                rotation=(-np.pi, np.pi),
                p_scaling=1,
                scaling=(SMALLEST, LARGEST),
                p_synchronize_scaling_across_axes=1,
                mode_seg="nearest",
            ),
            MirrorTransform((0, 1)),
            ContrastTransform(BGContrast((0.75, 1.33)), preserve_range=True, synchronize_channels=True),
            MultiplicativeBrightnessTransform(BGContrast((0.75, 1.33)), synchronize_channels=True),
            GammaTransform(
                BGContrast((0.7, 1.5)),
                p_invert_image=0,
                synchronize_channels=True,
                p_per_channel=1,
                p_retain_stats=1,
            ),
        ]
    )
    truths = torch.from_numpy(masks)[:, None].short()
    pairs = list(zip(floats(images), truths, strict=True))
    return lambda _: [change(image=image.clone(), segmentation=mask) for image, mask in pairs]


PEERS: dict[str, tuple[str, Callable[..., Run]]] = {
    "torchvision v2": ("torchvision", of_torchvision),
    "albumentations": ("albumentations", of_albumentations),
    "MONAI": ("monai", of_monai),
    "batchgeneratorsv2": ("batchgeneratorsv2", of_batchgenerators),
}
"""By name: the module that must be there, and what makes its function of images and masks."""


def share_of_a_step(channels: int, rounds: int, clock: Callable[[], float]) -> None:
    """Print what the default policy takes beside a training step of a small network on the same batch.

    The network is one that the planner chooses for minutes on two cores: a larger one takes longer.
    """
    images, masks = pictures(channels)
    model = create_model("unet", in_channels=channels, num_classes=2, fold=2, width=24, depth=3).train()
    optimiser = torch.optim.AdamW(model.parameters())
    loss = segmentation_loss(LossConfig(), torch.device("cpu"))
    augment = of_uvala(images, masks, AugmentConfig())
    changing, stepping = [], []
    for number in range(rounds + 1):
        began = clock()
        batch, targets, _ = augment(number)
        middle = clock()
        optimiser.zero_grad()
        loss(model(batch), targets.long(), None).backward()
        optimiser.step()
        changing.append(middle - began)
        stepping.append(clock() - middle)
    change, step = (1000 * statistics.median(each[1:]) / BATCH for each in (changing, stepping))
    print(
        f"\nDefault policy: {change:.1f} ms per image, {change / (change + step):.1%} of a training step"
        f" of a small U-Net ({step:.0f} ms per image without it)"
    )


if __name__ == "__main__":
    main()
