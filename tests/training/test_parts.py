"""A batch that is worked off in parts has the gradient of the whole batch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from drawn import write_discs
from jobs import train, weights
from uvala.losses.combined import over_outputs, segmentation_loss
from uvala.losses.config import LossConfig
from uvala.training.parts import backward_in_parts


def network(norm: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), norm, nn.ReLU(), nn.Conv2d(4, 3, 1)).double()


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(5, 2, 8, 8, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 3, (5, 8, 8), generator=generator)
    targets[0] = 0  # so that the parts are not alike
    targets[1, :3] = 255
    return images, targets


def gradients(model: nn.Module) -> list[Tensor]:
    return [parameter.grad for parameter in model.parameters()]


def in_parts(model: nn.Module, compare: Callable, parts: int, images: Tensor) -> Tensor:
    own = {"scale": lambda loss: loss, "seeds": range(parts), "buffers": list(model.buffers())}
    return backward_in_parts(model, compare, images, parts, **own)


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_the_gradient_is_that_of_the_whole_batch(parts):
    """Dice is a ratio of sums over the batch: the mean of the parts' gradients would be another."""
    images, targets = batch()
    loss = segmentation_loss(LossConfig(), torch.device("cpu"))
    whole, cut = network(nn.GroupNorm(2, 4)), network(nn.GroupNorm(2, 4))
    expected = loss(whole(images), targets, None)
    expected.backward()
    value = in_parts(cut, lambda outputs: loss(outputs, targets, None), parts, images)
    torch.testing.assert_close(value, expected.detach())
    torch.testing.assert_close(gradients(cut), gradients(whole), atol=1e-7, rtol=1e-5)  # the loss is float32


def test_a_batch_norm_counts_each_part_once():
    images, targets = batch()
    loss = segmentation_loss(LossConfig(), torch.device("cpu"))
    model, other = network(nn.BatchNorm2d(4)), network(nn.BatchNorm2d(4))
    in_parts(model, lambda outputs: loss(outputs, targets, None), 5, images)
    for image in images:
        other(image[None])
    assert model[1].num_batches_tracked.item() == 5
    torch.testing.assert_close(model[1].running_mean, other[1].running_mean)


def test_dropout_drops_the_same_in_both_passes():
    """The gradient of a sum of outputs is linear in what was let through, and only in that."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(1, 1, 1, bias=False)).double()
    images = torch.rand(4, 1, 6, 6, dtype=torch.float64)
    value = in_parts(model, lambda outputs: outputs.sum(), 2, images)
    torch.testing.assert_close(model[1].weight.grad.item(), (value / model[1].weight).item())


class Deep(nn.Module):
    """Two outputs, of which the second is half as large, and a third that nobody asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network(nn.GroupNorm(2, 4))

    def forward(self, image: Tensor) -> list[Tensor]:
        logits = self.body(image)
        return [logits, logits[..., ::2, ::2] * 2, logits.exp()]


def test_several_outputs():
    images, targets = batch()
    loss = segmentation_loss(LossConfig(), torch.device("cpu"))

    def compare(outputs: list[Tensor]) -> Tensor:
        return over_outputs(loss, outputs, targets, [1.0, 0.5, 0.0])

    whole, cut = Deep(), Deep()
    compare(whole(images)).backward()
    in_parts(cut, compare, 3, images)
    torch.testing.assert_close(gradients(cut), gradients(whole), atol=1e-7, rtol=1e-5)


def test_a_training_in_parts_gives_the_weights_of_one_in_whole_batches(tmp_path):
    data = write_discs(tmp_path / "discs", count=6)
    settings = {
        "model.name": "unet",
        "model.options": {"width": 4, "depth": 2, "norm": "none"},
        "patches.batch": 4,
        "length.steps": 4,
        "optimiser.name": "sgd",  # Adam makes a whole step of the sign of a rounding error
        "optimiser.learning_rate": 0.1,
    }
    train(data, tmp_path / "whole", settings=settings)
    train(data, tmp_path / "parts", settings={**settings, "optimiser.accumulate": 3})
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert max(abs(whole[key] - parts[key]).max() for key in whole) < 1e-6
