"""Who runs against uvala: networks and recipes of others.

A recipe is handed the contest and a seed. `step()` is one training step, its batch included; `probabilities`
what its network says of an image, float [K, H, W]. Networks and losses come from the packages
(pip install segmentation-models-pytorch monai), losses and optimisers are those of their tutorials; but all
begin with random weights, where smp's begin with those of ImageNet. Of Pytorch-UNet, which is no package, our
transcription of its network is trained as its train.py does. Ignored pixels are left out of every loss, also
where the package knows of none, which can only help.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from contest_data import IGNORE, Contest
from torch import Tensor, nn

__all__ = ["RECIPES", "Recipe"]

CROP, BATCH = 256, 4


@dataclass(frozen=True)
class Recipe:
    """step: one training step. probabilities: image [C, H, W] of 0 to 255 -> float [K, H, W]."""

    step: Callable[[], float]
    probabilities: Callable[[np.ndarray], np.ndarray]


# segmentation_models_pytorch: Unet on resnet34 from scratch, Dice + BCE (several classes: CE), Adam 1e-3


def smp_unet(contest: Contest, seed: int) -> Recipe:
    import segmentation_models_pytorch as smp

    torch.manual_seed(seed)
    binary = contest.classes == 2
    model = smp.Unet(
        "resnet34",
        encoder_weights=None,
        in_channels=contest.channels,
        classes=1 if binary else contest.classes,
    )
    mode = "binary" if binary else "multiclass"
    dice = smp.losses.DiceLoss(mode, from_logits=True, ignore_index=IGNORE)

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        if binary:
            known = (target != IGNORE)[:, None]
            wanted = (target == contest.positive).float()[:, None]
            cross_entropy = F.binary_cross_entropy_with_logits(logits[known], wanted[known])
            return dice(logits, wanted.where(known, IGNORE)) + cross_entropy
        return dice(logits, target) + F.cross_entropy(logits, target, ignore_index=IGNORE)

    def activate(logits: Tensor) -> Tensor:
        if not binary:
            return logits.softmax(dim=1)
        positive = logits.sigmoid()
        pair = [1 - positive, positive]
        return torch.cat(pair if contest.positive == 1 else pair[::-1], dim=1)

    return on_crops(model, loss, activate, contest, seed, multiple=32)


# MONAI: UNet of 16 to 256 channels with two residual units a level, as in its tutorials; DiceCE, Adam 1e-3


def monai_unet(contest: Contest, seed: int) -> Recipe:
    from monai.losses import DiceCELoss, DiceLoss
    from monai.networks.nets import UNet

    torch.manual_seed(seed)
    model = UNet(
        spatial_dims=2,
        in_channels=contest.channels,
        out_channels=contest.classes,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
    )
    both, dice = DiceCELoss(to_onehot_y=True, softmax=True), DiceLoss()

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        counted = target != IGNORE
        if counted.all():
            return both(logits, target[:, None])
        # the same two terms over the pixels that count
        wanted = F.one_hot(target.where(counted, 0), contest.classes).movedim(-1, 1) * counted[:, None]
        dice_term = dice(logits.softmax(dim=1) * counted[:, None], wanted)
        return dice_term + F.cross_entropy(logits, target, ignore_index=IGNORE)

    return on_crops(model, loss, lambda logits: logits.softmax(dim=1), contest, seed, multiple=16)


def on_crops(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    activate: Callable[[Tensor], Tensor],
    contest: Contest,
    seed: int,
    *,
    multiple: int,
) -> Recipe:
    """Adam 1e-3 on 4 random crops of 256x256 with random flips; each image to mean 0 and deviation 1."""
    images = [normalised(case.image) for case in contest.training]
    truths = [case.truth for case in contest.training]
    random = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def crop() -> tuple[np.ndarray, np.ndarray]:
        chosen = random.integers(len(images))
        image, truth = images[chosen], truths[chosen]
        top, left = (random.integers(max(side - CROP, 0) + 1) for side in truth.shape)
        image, truth = (each[..., top : top + CROP, left : left + CROP] for each in (image, truth))
        for axis in (-1,) if contest.upright else (-1, -2):
            if random.random() < 0.5:
                image, truth = np.flip(image, axis), np.flip(truth, axis)
        return image, truth

    def step() -> float:
        model.train()
        batch = [crop() for _ in range(BATCH)]
        image = torch.from_numpy(np.stack([image for image, _ in batch]))
        target = torch.from_numpy(np.stack([truth for _, truth in batch])).long()
        optimiser.zero_grad()
        value = loss(model(image), target)
        value.backward()
        optimiser.step()
        return value.item()

    @torch.inference_mode()
    def probabilities(image: np.ndarray) -> np.ndarray:
        model.eval()
        height, width = image.shape[1:]
        padded = F.pad(
            torch.from_numpy(normalised(image))[None],
            (0, -width % multiple, 0, -height % multiple),
            mode="reflect",
        )
        return activate(model(padded))[0, :, :height, :width].numpy()

    return Recipe(step, probabilities)


def normalised(image: np.ndarray) -> np.ndarray:
    mean = image.mean(axis=(1, 2), keepdims=True)
    return ((image - mean) / (image.std(axis=(1, 2), keepdims=True) + 1e-6)).astype(np.float32)


# Pytorch-UNet: whole images at half their size, one at a time, RMSprop 1e-5 with momentum 0.999; CE + Dice of
# all classes together; the rate falls to a tenth where the Dice of the validation images, looked at five
# times an epoch, stays


def pytorch_unet(contest: Contest, seed: int) -> Recipe:
    from uvala.models.catalog import create_model

    torch.manual_seed(seed)
    model = create_model("pytorch_unet", in_channels=contest.channels, num_classes=contest.classes)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.reset_parameters()  # torch's own draw, as there
    model = model.to(memory_format=torch.channels_last)
    images = {id(case): halved(case.image) for case in [*contest.training, *contest.validation]}
    truths = {id(case): halved_mask(case.truth) for case in [*contest.training, *contest.validation]}
    optimiser = torch.optim.RMSprop(
        model.parameters(), lr=1e-5, weight_decay=1e-8, momentum=0.999, foreach=True
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, "max", patience=5)
    random = np.random.default_rng(seed)
    every = max(1, len(contest.training) // 5)

    def pairs() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            for index in random.permutation(len(contest.training)):
                case = contest.training[index]
                yield images[id(case)], truths[id(case)]

    stream = enumerate(pairs(), start=1)

    def step() -> float:
        number, (image, target) = next(stream)
        model.train()
        logits = model(image)
        value = F.cross_entropy(logits, target, ignore_index=IGNORE)
        value = value + 1 - soft_dice(*compared(logits.softmax(dim=1), target))
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if number % every == 0:
            plateau.step(judged())
        return value.item()

    @torch.inference_mode()
    def judged() -> float:
        model.eval()
        found = []
        for case in contest.validation:
            likeliest = F.one_hot(model(images[id(case)]).argmax(dim=1), contest.classes).movedim(-1, 1)
            pair = compared(likeliest, truths[id(case)])
            found += [soft_dice(*(each[:, k] for each in pair)).item() for k in range(1, contest.classes)]
        return float(np.mean(found))

    @torch.inference_mode()
    def probabilities(image: np.ndarray) -> np.ndarray:
        model.eval()
        logits = model(halved(image))
        return F.interpolate(logits, image.shape[1:], mode="bilinear")[0].softmax(dim=0).numpy()

    return Recipe(step, probabilities)


def compared(found: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities [B, K, H, W] and truth [B, K, H, W], both 0 where nothing is known."""
    known = (target != IGNORE)[:, None]
    wanted = F.one_hot(target.where(known[:, 0], 0), found.shape[1]).movedim(-1, 1)
    return found * known, wanted * known


def soft_dice(found: Tensor, wanted: Tensor) -> Tensor:
    """Dice of all values together, whatever image and class they are of; 1 where both are empty."""
    return (2 * (found * wanted).sum() + 1e-6) / (found.sum() + wanted.sum() + 1e-6)


def halved(image: np.ndarray) -> Tensor:
    """Half the size, bicubic, 0 to 1: [1, C, H/2, W/2]."""
    from PIL import Image

    size = (int(image.shape[2] * 0.5), int(image.shape[1] * 0.5))
    smaller = [
        np.asarray(Image.fromarray(channel.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC))
        for channel in image
    ]
    whole = torch.from_numpy(np.stack(smaller).astype(np.float32))[None] / 255
    return whole.contiguous(memory_format=torch.channels_last)


def halved_mask(truth: np.ndarray) -> Tensor:
    from PIL import Image

    size = (int(truth.shape[1] * 0.5), int(truth.shape[0] * 0.5))
    smaller = Image.fromarray(truth).resize(size, Image.Resampling.NEAREST)
    return torch.from_numpy(np.asarray(smaller).copy()).long()[None]


RECIPES: dict[str, Callable[[Contest, int], Recipe]] = {
    "pytorch_unet": pytorch_unet,
    "smp": smp_unet,
    "monai": monai_unet,
}
