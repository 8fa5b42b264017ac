"""Recurrent convolutions: what their steps compute, and what they share."""

import pytest
import torch
from torch.nn.functional import relu

from uvala.models.catalog import create_model
from uvala.models.r2unet import DoubledConvolution, RecurrentConvolution


@pytest.fixture
def x():
    return torch.randn(1, 2, 5, 6, generator=torch.Generator().manual_seed(0))


def keep_values(block) -> None:
    """Its convolution becomes the identity, and its norm as good as one."""
    conv, norm, _ = block.convolution
    torch.nn.init.dirac_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    norm.eps = 0.0


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_recurrence_adds_the_input_at_each_step(x, steps):
    block = RecurrentConvolution(2, steps=steps).eval()
    keep_values(block)
    torch.testing.assert_close(block(x), (steps + 1) * relu(x))


def test_doubled_recurrence_forgets_the_input(x):
    block = DoubledConvolution(2).eval()
    keep_values(block)
    torch.testing.assert_close(block(x), 2 * relu(x))


@pytest.mark.parametrize(("recurrence", "same"), [("input", False), ("doubled", True)])
def test_number_of_steps_matters_only_where_the_input_is_added(recurrence, same):
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    options = {"in_channels": 3, "num_classes": 1, "width": 2, "recurrence": recurrence}
    two, three = (create_model("r2unet", **options, steps=steps).eval() for steps in (2, 3))
    three.load_state_dict(two.state_dict())
    with torch.no_grad():
        assert torch.equal(two(image), three(image)) == same


def test_steps_share_one_norm_that_counts_each_of_them(x):
    block = RecurrentConvolution(2, steps=3)
    block(x)
    assert block.convolution[1].num_batches_tracked == 4


def test_checkpointing_changes_neither_gradients_nor_statistics():
    image = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, saving = (create_model("r2unet", in_channels=3, num_classes=1, width=2).train() for _ in range(2))
    saving.load_state_dict(plain.state_dict())
    saving.use_checkpointing()
    for network in (plain, saving):
        network(image).square().mean().backward()
    torch.testing.assert_close(saving.state_dict(), plain.state_dict())
    gradients = [[parameter.grad for parameter in network.parameters()] for network in (plain, saving)]
    torch.testing.assert_close(*gradients)


def test_steps_bring_no_parameters():
    sizes = {
        sum(
            weights.numel()
            for weights in create_model(
                "r2unet", in_channels=3, num_classes=1, width=2, steps=steps
            ).parameters()
        )
        for steps in (1, 4)
    }
    assert len(sizes) == 1


def test_logits_of_a_fresh_network_stay_small_after_four_repetitions():
    torch.manual_seed(0)
    network = create_model("r2unet", in_channels=3, num_classes=2, width=8, steps=4).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 64, 64)).abs().max() < 2
