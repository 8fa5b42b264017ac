"""The U-Net and its choices."""

import json

import pytest
import torch

from uvala.models.blocks import Residual
from uvala.models.catalog import create_model

CHOICES = [
    {},
    {"up": "bilinear"},
    {"residual": True},
    {"norm": "instance", "activation": "leaky_relu"},
    {"norm": "group", "activation": "gelu"},
    {"norm": "none", "activation": "elu"},
    {"activation": "silu", "kernel_size": 5, "convolutions": 1},
    {"kernel_size": 1, "dropout": 0.5, "depth": 1},
    {"depth": 6, "max_width": 16, "width": 5},
    {"fold": 2, "depth": 3},
]


def make(**options):
    torch.manual_seed(0)
    return create_model("unet", **{"in_channels": 3, "num_classes": 2, "width": 4, **options})


class TestChoices:
    """Every choice gives a network that takes any image and learns from it."""

    @pytest.mark.parametrize("options", CHOICES, ids=str)
    @pytest.mark.parametrize("size", [(1, 1), (37, 50)], ids=str)
    def test_logits_are_finite_and_as_large_as_the_image(self, options, size):
        with torch.no_grad():
            logits = make(**options).eval()(torch.randn(1, 3, *size))
        assert logits.shape == (1, 2, *size)
        assert logits.isfinite().all()

    @pytest.mark.parametrize("options", CHOICES, ids=str)
    def test_untrained_network_has_logits_of_the_size_of_its_features(self, options):
        logits = make(**options)(torch.randn(2, 3, 128, 128))
        assert 0.1 < logits.square().mean().sqrt() < 4

    @pytest.mark.parametrize("options", CHOICES, ids=str)
    def test_a_few_steps_lower_the_loss(self, options):
        model = make(**options, in_channels=1)
        truth = (torch.arange(128) // 20 % 2).expand(2, 128, 128)  # stripes
        image = truth[:, None] + 0.3 * torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(1))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        losses = []
        for _ in range(10):
            loss = torch.nn.functional.cross_entropy(model(image), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.9 * losses[0]


class TestShape:
    """Options mean what their names say."""

    def test_width_doubles_down_to_the_greatest(self):
        model = make(width=8, depth=4, max_width=50)
        assert [encoder[-1][0].out_channels for encoder in model.encoders] == [8, 16, 32, 50, 50]

    def test_multiple_is_the_factor_of_all_poolings(self):
        assert make(depth=3).multiple == 8

    def test_fold_makes_squares_channels_and_back(self):
        model = make(fold=2, depth=3)
        assert model.multiple == 16
        assert model.encoders[0][0][0].in_channels == 3 * 4
        assert model.head.out_channels == 2 * 4

    def test_residual_replaces_each_block(self):
        model = make(residual=True)
        assert all(isinstance(block, Residual) for block in [*model.encoders, *model.decoders])

    def test_dropout_sets_whole_channels_of_the_bottom_to_zero(self):
        bottom = make(dropout=0.5).bottom
        channels = bottom(torch.ones(1, 400, 3, 3))[0].flatten(1)  # [C, 9]
        assert (channels == channels[:, :1]).all()
        assert 0.4 < (channels == 0).float().mean() < 0.6

    def test_batch_norm_convolutions_have_no_bias_that_it_would_cancel(self):
        assert all("0.0.bias" not in name for name in make().state_dict())

    def test_parameters_are_those_of_the_field_s_unet_at_its_width(self, shared):
        golden = json.loads((shared / "goldens" / "milesial_unet_3_2.json").read_text())
        model = make(width=64, max_width=1024)
        assert sum(parameter.numel() for parameter in model.parameters()) == golden["n_params"]
