"""The optimisers as their papers write them, in float64, on one weight."""

import pytest
import torch
from torch import nn

from uvala.config import build
from uvala.errors import ConfigError
from uvala.plan.schema import OptimiserConfig
from uvala.training.optimiser import kernels_and_others, make_optimiser

RATE, DECAY = 0.1, 0.01


class OneWeight(nn.Module):
    """A kernel of one number, which begins at 2; the gradient of each step is given."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.full((1, 1), 2.0, dtype=torch.float64))


def after(gradients, **options) -> float:
    """The weight after a step with each gradient."""
    model = OneWeight()
    config = OptimiserConfig(learning_rate=RATE, **{"weight_decay": DECAY, **options})
    optimiser = make_optimiser(model, config)
    for gradient in gradients:
        model.kernel.grad = torch.full_like(model.kernel, gradient)
        optimiser.step()
    return model.kernel.item()


class TestClosedForms:
    def test_sgd_with_momentum_and_penalty(self):
        """v = 0.9 v + g + 0.01 w; w = w - 0.1 v."""
        velocity = 1.0 + DECAY * 2
        first = 2 - RATE * velocity
        velocity = 0.9 * velocity + 3.0 + DECAY * first
        assert after([1.0, 3.0], name="sgd") == pytest.approx(first - RATE * velocity, abs=1e-12)

    def test_nesterov_looks_ahead(self):
        """w = w - 0.1 (g + 0.9 v)."""
        assert after([1.0], name="sgd", nesterov=True, weight_decay=0) == pytest.approx(2 - RATE * 1.9)

    def test_the_decay_of_adamw_is_apart_from_its_gradient(self):
        """The first step is one learning rate long, whatever the gradient; the decay comes on top."""
        assert after([7.0], name="adamw") == pytest.approx(2 * (1 - RATE * DECAY) - RATE, abs=1e-8)

    def test_the_penalty_of_adam_is_a_part_of_its_gradient(self):
        assert after([7.0], name="adam") == pytest.approx(2 - RATE, abs=1e-8)

    def test_rmsprop_divides_by_the_root_mean_square(self):
        """The mean begins at 0 and takes in a hundredth of each square."""
        gradient = 3.0
        expected = 2 - RATE * gradient / (0.1 * gradient + 1e-8)
        assert after([gradient], name="rmsprop", weight_decay=0) == pytest.approx(expected, abs=1e-10)


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.layer_norm = nn.LayerNorm([3, 4, 4])
        self.linear = nn.Linear(3, 2)
        self.scale = nn.Parameter(torch.ones(3))
        self.again = self.linear  # one weight under two names


class TestDecay:
    def test_only_kernels_decay(self):
        model = Parts()
        kernels, others = kernels_and_others(model)
        assert {id(kernel) for kernel in kernels} == {id(model.convolution.weight), id(model.linear.weight)}
        assert len(kernels) + len(others) == len(list(model.parameters()))

    def test_each_group_has_its_own(self):
        groups = make_optimiser(Parts(), OptimiserConfig(weight_decay=0.3)).param_groups
        assert [(len(group["params"]), group["weight_decay"]) for group in groups] == [(2, 0.3), (7, 0.0)]

    def test_all_decay_if_asked_for(self):
        groups = make_optimiser(Parts(), OptimiserConfig(weight_decay=0.3, decay_all=True)).param_groups
        assert [group["weight_decay"] for group in groups] == [0.3]


@pytest.mark.parametrize("options", [{"nesterov": True}, {"name": "sgd", "momentum": 0.0, "nesterov": True}])
def test_nesterov_without_a_momentum_is_refused(options):
    with pytest.raises(ConfigError, match="nesterov is a form of SGD's momentum"):
        build(OptimiserConfig, options, where="a test")
