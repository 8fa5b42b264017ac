"""Synchronised batch norms: those of one process with the global batch."""

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn
from torch.testing import assert_close

from many_ranks import run_ranks
from rank_tasks import gradients, gradients_in, normalise
from uvala.errors import ConfigError
from uvala.models.catalog import create_model
from uvala.training.batch_norm import SynchronisedBatchNorm2d, synchronise
from uvala.training.distributed import World


def far_from_zero(*size: int) -> torch.Tensor:
    """Values whose mean is large beside their spread, where careless sums cancel."""
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(size))) + 300.0


def norm(kind=nn.BatchNorm2d, **options) -> nn.BatchNorm2d:
    made = kind(3, **options).double()
    if made.affine:
        with torch.no_grad():
            made.weight.copy_(torch.tensor([0.5, 1.0, -2.0]))
            made.bias.copy_(torch.tensor([0.1, 0.0, -0.3]))
    return made


def pocket() -> nn.Module:
    return create_model("pocket_unet", in_channels=3, num_classes=2, width=4)


NORMS = {
    "plain": norm(),
    "mean of all batches": norm(momentum=None),
    "without weights": norm(affine=False),
    "without statistics": norm(track_running_stats=False),
    "with activation": norm(BatchNormAct2d, act_layer=nn.LeakyReLU),
    "frozen": norm().eval(),
}
BATCHES = [far_from_zero(1, 3, 4, 5), far_from_zero(2, 3, 4, 5)]
GRADIENTS = [far_from_zero(1, 3, 4, 6)[..., 1:] - 300, far_from_zero(2, 3, 4, 6)[..., 1:] - 299]


@pytest.fixture(scope="module")
def by_two_ranks():
    """One batch of one image, one of two."""
    found = run_ranks(normalise, 2, list(NORMS.values()), BATCHES, GRADIENTS)
    return {name: pair for name, *pair in zip(NORMS, *found, strict=True)}


class TestSynchronisedNorm:
    """Two ranks with batches of one and two images; one process with all three."""

    @pytest.mark.parametrize("name", NORMS)
    def test_equals_the_norm_of_the_global_batch(self, by_two_ranks, name):
        one, two = by_two_ranks[name]
        alone = nn.Sequential(copy.deepcopy(NORMS[name]))
        x = torch.cat(BATCHES).requires_grad_()
        y = alone(x)
        y.backward(torch.cat(GRADIENTS))
        assert_close(torch.cat([one["y"], two["y"]]), y.detach(), rtol=0, atol=1e-9)
        assert_close(torch.cat([one["dx"], two["dx"]]), x.grad, rtol=0, atol=1e-9)
        if alone[0].affine:
            assert_close(one["dweight"] + two["dweight"], alone[0].weight.grad, rtol=0, atol=1e-9)
            assert_close(one["dbias"] + two["dbias"], alone[0].bias.grad, rtol=0, atol=1e-9)

    @pytest.mark.parametrize("name", NORMS)
    def test_keeps_the_statistics_of_the_global_batch(self, by_two_ranks, name):
        alone = nn.Sequential(copy.deepcopy(NORMS[name]))
        alone(torch.cat(BATCHES))
        for found in by_two_ranks[name]:
            for key, value in alone.state_dict().items():
                assert_close(found[key], value, rtol=1e-12, atol=0)

    def test_replaces_without_a_trace_in_names_and_values(self):
        model = pocket()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        parameters = list(model.parameters())
        synchronise(model)
        assert any(isinstance(each, SynchronisedBatchNorm2d) for each in model.modules())
        assert list(model.state_dict()) == list(before)
        assert_close(dict(model.state_dict()), before)
        assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))

    def test_a_second_time_changes_nothing(self):
        model = pocket()
        synchronise(model)
        before = list(model.modules())
        synchronise(model)
        assert list(model.modules()) == before

    def test_a_copy_stands_alone_in_eval_mode(self):
        model = pocket()
        synchronise(model)
        image = torch.ones(1, 3, 8, 8)
        assert_close(copy.deepcopy(model).eval()(image), model.eval()(image))

    def test_other_batch_norms_are_refused(self):
        with pytest.raises(ConfigError, match="BatchNorm3d"):
            synchronise(nn.Sequential(nn.BatchNorm3d(2)))


MEMBERS = {"pocket_unet": {"width": 4}, "unetpp": {"width": 4, "deep_supervision": True}}


@pytest.fixture(scope="module")
def four_images():
    generator = torch.Generator().manual_seed(5)
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=generator)
    return images, torch.rand(4, 2, 16, 16, dtype=torch.float64, generator=generator)


@pytest.fixture(scope="module")
def shared_by_two(four_images):
    found = run_ranks(gradients, 2, list(MEMBERS.items()), *four_images)
    return {name: pair for name, *pair in zip(MEMBERS, *found, strict=True)}


@pytest.mark.parametrize("name", MEMBERS)
def test_gradients_of_two_ranks_are_those_of_one(four_images, shared_by_two, name):
    alone = gradients_in(World.alone(), name, MEMBERS[name], *four_images)
    for found in shared_by_two[name]:
        assert found.keys() == alone.keys()
        for key, value in alone.items():
            assert_close(found[key], value, rtol=0, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}")
