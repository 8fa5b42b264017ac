"""The Attention U-Net against the same network without gates."""

import pytest
import torch

from uvala.models.catalog import create_model

CHANNELS = {"in_channels": 2, "num_classes": 3}


@pytest.fixture
def image():
    return torch.randn(2, 2, 32, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create_model("attention_unet", **CHANNELS, width=4).eval()


def set_gates(network, value: float) -> None:
    """All gates to the sigmoid of `value`, whatever skip and gate are."""
    for merge in network.merges:
        norm = merge.gate.weigh[1]
        norm.weight.data.fill_(0.0)
        norm.bias.data.fill_(value)


def test_open_gates_leave_a_plain_unet(network, image):
    plain = create_model("upconv_unet", **CHANNELS, width=4).eval()
    plain.load_state_dict({key: network.state_dict()[key] for key in plain.state_dict()})
    set_gates(network, 100.0)
    with torch.no_grad():
        assert torch.equal(network(image), plain(image))


def test_closed_gates_leave_what_comes_from_the_deepest_level(network, image):
    set_gates(network, -1000.0)
    seen = []
    network.merges[-1].register_forward_hook(lambda module, inputs, joined: seen.append(joined))
    with torch.no_grad():
        network(image)
    assert (seen[0][:, :4] == 0).all()  # the skip of the first level
    assert (seen[0][:, 4:] != 0).any()
