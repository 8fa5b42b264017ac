"""UNet++: its nodes, its heads, its memory."""

import pytest
import torch

from uvala.models.catalog import create_model
from uvala.models.facts import measure

OPTIONS = {"in_channels": 2, "num_classes": 3, "width": 4}


@pytest.fixture
def image():
    return torch.randn(2, 2, 48, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def supervised():
    torch.manual_seed(0)
    return create_model("unetpp", **OPTIONS, deep_supervision=True).eval()


def test_triangle_of_fifteen_nodes():
    assert [len(level) for level in create_model("unetpp", **OPTIONS).nodes] == [5, 4, 3, 2, 1]


def test_training_gives_one_logits_for_each_weight_of_the_loss(supervised, image):
    outputs = supervised.train()(image[..., :31])
    assert [output.shape for output in outputs] == [(2, 3, 48, 31)] * 4
    assert supervised.loss_weights == (0.25, 0.25, 0.25, 0.25)


def test_evaluation_gives_the_last(supervised, image):
    with torch.no_grad():
        last = supervised(image)
        supervised.training = True  # the norms below stay in eval mode
        assert torch.equal(supervised(image)[-1], last)


def test_first_head_sees_only_the_first_two_levels(supervised, image):
    supervised.training = True
    with torch.no_grad():
        before = supervised(image)
        for level in supervised.nodes[2:]:
            for parameter in level.parameters():
                parameter.add_(1.0)
        after = supervised(image)
    same = [torch.equal(one, other) for one, other in zip(before, after, strict=True)]
    assert same == [True, False, False, False]


def test_without_deep_supervision_there_is_one_head(image):
    network = create_model("unetpp", **OPTIONS).train()
    assert network(image).shape == (2, 3, 48, 32)
    assert not hasattr(network, "loss_weights")


def test_checkpointing_changes_no_gradient(supervised, image):
    def gradients():
        supervised.train().zero_grad()
        torch.stack(supervised(image)).square().mean().backward()
        return [parameter.grad.clone() for parameter in supervised.parameters()]

    plain = gradients()
    supervised.use_checkpointing()
    torch.testing.assert_close(gradients(), plain)


def test_a_tile_is_exact_with_enough_context():
    assert measure(create_model("unetpp", **OPTIONS), 2).halo is not None
