"""The Channel U-Net: what its global attention sees, and that it can be done without."""

import pytest
import torch

from uvala.models.catalog import create_model
from uvala.models.channel_unet import GlobalAttentionUp
from uvala.models.facts import measure


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create_model("channel_unet", in_channels=2, num_classes=3, width=4).eval()


def test_weights_are_of_the_mean_of_the_level_below():
    torch.manual_seed(0)
    attention = GlobalAttentionUp(4, 8).eval()
    attention.up.weight.data.zero_()
    skip, below = torch.randn(1, 4, 8, 12), torch.randn(1, 8, 4, 6)
    shuffled = below.flatten(2)[..., torch.randperm(24)].view_as(below)
    with torch.no_grad():
        assert attention(skip, below).any()
        torch.testing.assert_close(attention(skip, shuffled), attention(skip, below))


def test_every_pixel_sees_the_whole_image(network):
    image = torch.randn(1, 2, 320, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    network(image)[..., 0, 0].sum().backward()
    rows = image.grad.abs().sum(dim=(0, 1, 3)).view(-1, 16).sum(dim=1)  # of each square of the deepest level
    assert (rows > 0).all()


def test_a_tile_is_exact_once_it_knows_what_the_attention_squeezes(network):
    facts = measure(network, 2)
    assert facts.halo is not None
    assert facts.statistics > 0


def test_checkpointing_changes_no_gradient(network):
    image = torch.randn(2, 2, 32, 48, generator=torch.Generator().manual_seed(0))

    def gradients():
        network.train().zero_grad()
        network(image).square().mean().backward()
        return [parameter.grad.clone() for parameter in network.parameters()]

    plain = gradients()
    network.use_checkpointing()
    torch.testing.assert_close(gradients(), plain)
