"""What a skip passes before it is joined, alone and in the U-Net with every other choice."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from goldens import filled
from uvala.models.blocks import Concatenate
from uvala.models.catalog import create_model
from uvala.models.facts import measure
from uvala.models.skips import CBAM, SCSE, AttentionGate, GatedMerge, WeighedMerge


def random_map(channels: int, seed: int = 0) -> Tensor:
    return torch.randn(2, channels, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mixed(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution as the matrix product that it is."""
    return torch.einsum("oi,bihw->bohw", conv.weight[:, :, 0, 0], x) + conv.bias[:, None, None]


class TestAttentionGate:
    """Oktay et al. (2018)."""

    def test_weighs_each_pixel_as_equation_1_says(self):
        gate = filled(AttentionGate(4, 6, 3, norm="none")).double()
        skip, signal = random_map(4), random_map(6, seed=1)
        inner = (mixed(gate.of_skip[0], skip) + mixed(gate.of_gate[0], signal)).clamp(min=0)
        weight = 1 / (1 + torch.exp(-mixed(gate.weigh[0], inner)))  # [2, 1, 5, 6]
        torch.testing.assert_close(gate(skip, signal), skip * weight)

    def test_has_a_norm_after_each_convolution(self):
        norms = [layer for layer in AttentionGate(4, 6, 3).modules() if isinstance(layer, nn.BatchNorm2d)]
        assert [norm.num_features for norm in norms] == [3, 3, 1]

    def test_compares_in_half_the_channels_of_the_skip(self):
        assert GatedMerge(8, 6).gate.of_gate[0].out_channels == 4

    def test_a_single_channel_can_be_gated(self):
        assert GatedMerge(1, 1)(random_map(1).float(), random_map(1).float()).shape == (2, 2, 5, 6)


class TestCBAM:
    """Woo et al. (2018)."""

    def test_weighs_channels_and_then_pixels_as_equations_2_and_3_say(self):
        cbam = filled(CBAM(32)).double()
        x = random_map(32)

        def shared(pooled: Tensor) -> Tensor:  # [2, 32] -> [2, 32]
            hidden = mixed(cbam.channel[0], pooled[..., None, None]).clamp(min=0)
            return mixed(cbam.channel[2], hidden)

        x1 = x * torch.sigmoid(shared(x.flatten(2).mean(2)) + shared(x.flatten(2).max(2).values))
        both = torch.stack([x1.mean(1), x1.max(1).values], dim=1)
        space = nn.functional.conv2d(both, cbam.space.weight, cbam.space.bias, padding=3)
        torch.testing.assert_close(cbam(x), x1 * torch.sigmoid(space))

    def test_squeezes_the_channels_to_a_sixteenth(self):
        assert CBAM(64).channel[0].out_channels == 4

    def test_keeps_at_least_one_channel(self):
        assert CBAM(3)(random_map(3).float()).shape == (2, 3, 5, 6)


class TestSCSE:
    """Roy et al. (2018)."""

    def test_adds_what_channels_and_pixels_are_weighed_to(self):
        scse = filled(SCSE(32, reduction=8)).double()
        x = random_map(32)
        mean = x.flatten(2).mean(2)[..., None, None]
        channels = torch.sigmoid(mixed(scse.channel[3], mixed(scse.channel[1], mean).clamp(min=0)))
        pixels = torch.sigmoid(mixed(scse.space[0], x))
        torch.testing.assert_close(scse(x), x * channels + x * pixels)

    def test_squeezes_the_channels_to_a_sixteenth(self):
        assert SCSE(64).channel[1].out_channels == 4

    def test_keeps_at_least_one_channel(self):
        assert SCSE(3)(random_map(3).float()).shape == (2, 3, 5, 6)


SKIPS = ["plain", "attention", "cbam", "scse"]
NORMS = ["batch", "instance", "group", "none"]
OTHERS = {
    "up": ["transposed", "bilinear"],
    "residual": [False, True],
    "fold": [1, 2, 4],
    "kernel_size": [3, 1, 5, 7],
    "activation": ["relu", "leaky_relu", "elu", "gelu", "silu"],
    "depth": [1, 3, 2],
    "convolutions": [2, 1, 3],
    "dropout": [0.0, 0.3],
}


def combination(skip: int, norm: int) -> dict:
    """Each skip meets each norm, and each value of the other options that are at most four."""
    others = {name: values[(norm + skip) % len(values)] for name, values in OTHERS.items()}
    return {"skip": SKIPS[skip], "norm": NORMS[norm], **others}


COMBINATIONS = [combination(*pair) for pair in product(range(4), range(4))]


def make(**options) -> nn.Module:
    torch.manual_seed(0)
    return create_model("unet", **{"in_channels": 3, "num_classes": 2, "width": 4, **options})


class TestUNetWithSkips:
    """Each kind of skip goes with every other choice of `unet`."""

    @pytest.mark.parametrize("options", COMBINATIONS, ids=str)
    @pytest.mark.parametrize("size", [(1, 1), (37, 50)], ids=str)
    def test_logits_are_finite_and_as_large_as_the_image(self, options, size):
        with torch.no_grad():
            logits = make(**options).eval()(torch.randn(1, 3, *size))
        assert logits.shape == (1, 2, *size)
        assert logits.isfinite().all()

    @pytest.mark.parametrize("options", COMBINATIONS, ids=str)
    def test_every_parameter_gets_a_finite_gradient(self, options):
        model = make(**options)
        model(torch.randn(2, 3, 64, 72)).square().mean().backward()
        assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())

    @pytest.mark.parametrize(
        ("skip", "kind"),
        [("plain", Concatenate), ("attention", GatedMerge), ("cbam", WeighedMerge), ("scse", WeighedMerge)],
    )
    def test_option_decides_each_merge(self, skip, kind):
        assert all(type(merge) is kind for merge in make(skip=skip).merges)

    def test_gate_has_the_norm_of_the_network(self):
        model = make(skip="attention", norm="none")
        assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())

    def test_attention_gate_needs_no_more_context(self):
        halo = measure(make(depth=2), 3).halo
        assert measure(make(depth=2, skip="attention"), 3).halo == halo

    @pytest.mark.parametrize("skip", ["cbam", "scse"])
    def test_what_is_pooled_of_the_whole_image_is_a_statistic(self, skip):
        facts = measure(make(depth=2, skip=skip), 3)
        assert facts.halo is not None
        assert facts.statistics == 2 * (2 if skip == "cbam" else 1)  # of each merge the mean, and the maximum

    @pytest.mark.parametrize("skip", SKIPS)
    def test_a_few_steps_lower_the_loss(self, skip):
        model = make(skip=skip, in_channels=1)
        truth = (torch.arange(128) // 20 % 2).expand(2, 128, 128)  # stripes
        image = truth[:, None] + 0.3 * torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(1))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        losses = []
        for _ in range(10):
            loss = nn.functional.cross_entropy(model(image), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.9 * losses[0]
