"""The parts of which networks are made."""

import pytest
import torch
from torch import nn

from uvala.models.blocks import (
    InstanceNorm,
    bilinear_up,
    convolution,
    crop,
    head,
    pad_to_multiple,
    transposed_up,
)


class TestPadToMultiple:
    """A size that the network cannot halve is made one that it can, and nothing else is touched."""

    @pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 31), (16, 33), (15, 16)], ids=str)
    def test_result_divides_and_crops_back_to_the_image(self, size):
        image = torch.rand(2, 3, *size)
        padded, original = pad_to_multiple(image, 16)
        assert padded.shape[-2] % 16 == padded.shape[-1] % 16 == 0
        assert torch.equal(crop(padded, original), image)

    def test_multiples_pass_unchanged(self):
        image = torch.rand(1, 1, 32, 16)
        assert pad_to_multiple(image, 16)[0] is image

    def test_last_row_and_column_are_repeated(self):
        image = torch.tensor([[[[1.0, 2.0, 3.0]]]])
        expected = torch.tensor([[1.0, 2.0, 3.0, 3.0], [1.0, 2.0, 3.0, 3.0]])
        assert torch.equal(pad_to_multiple(image, 2)[0][0, 0], expected)


class TestInitialisation:
    """Signals neither fade nor explode on their way through untrained layers."""

    @pytest.mark.parametrize("kernel_size", [1, 3, 7])
    def test_rectified_convolutions_keep_the_mean_square(self, kernel_size):
        torch.manual_seed(0)
        layers = [
            convolution(64, 64, kernel_size=kernel_size, norm="none", activation="relu") for _ in range(8)
        ]
        # circular: no zeros from outside, which the theory leaves out
        for layer in layers:
            layer[0].padding_mode = "circular"
        out = nn.Sequential(*layers)(torch.randn(1, 64, 32, 32))
        assert out.square().mean().item() == pytest.approx(1.0, abs=0.5)

    @pytest.mark.parametrize("up", [transposed_up, bilinear_up])
    def test_upsampling_of_a_constant_keeps_the_mean_square(self, up):
        torch.manual_seed(0)
        pixel = torch.nn.functional.normalize(torch.randn(1, 256, 1, 1)) * 256**0.5
        out = up(256, 512)(pixel.expand(1, 256, 6, 6))
        assert out.shape == (1, 512, 12, 12)
        assert out.square().mean().item() == pytest.approx(1.0, abs=0.2)

    @pytest.mark.parametrize("kernel_size", [1, 3])
    def test_logits_begin_as_strong_as_the_features(self, kernel_size):
        torch.manual_seed(0)
        logits = head(64, 11, kernel_size=kernel_size)(torch.randn(1, 64, 32, 32))
        assert logits.square().mean().item() == pytest.approx(1.0, abs=0.3)


def test_bilinear_up_reduces_channels_as_well_before_as_after_the_interpolation():
    up = bilinear_up(4, 2)
    x = torch.randn(1, 4, 5, 7)
    after = up.reduce(nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
    torch.testing.assert_close(up(x), after)


def test_instance_norm_equals_torch_where_torch_has_an_answer():
    x = torch.randn(2, 3, 5, 7)
    torch.testing.assert_close(InstanceNorm(3)(x), nn.InstanceNorm2d(3)(x))


def test_instance_norm_of_a_single_pixel_is_its_shift():
    norm = InstanceNorm(2)
    nn.init.constant_(norm.bias, 0.25)
    torch.testing.assert_close(norm(torch.randn(1, 2, 1, 1)), torch.full((1, 2, 1, 1), 0.25))
