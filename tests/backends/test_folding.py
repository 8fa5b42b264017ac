"""A batch norm is a part of the convolution before it, and the numbers stay what they were."""

import copy

import pytest
import torch
from torch import nn

from uvala.backends.agreement import compare, noise
from uvala.backends.folding import fold_batch_norms

CHANNELS = 2


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def same_numbers(model: nn.Module, folded: nn.Module) -> bool:
    image = noise(1, CHANNELS, 40, 56)
    with torch.no_grad():
        return compare(model(image), folded(image)).difference < 1e-4


def statistics(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.1, 3)
    return model.eval()


class Around(nn.Module):
    """Adds what its norm gets to what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(CHANNELS, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.convolution(x)
        return x + self.norm(x)


class Twice(nn.Module):
    """Passes one convolution and its norm two times."""

    def __init__(self, *, same_norm: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.first = nn.BatchNorm2d(CHANNELS)
        self.second = self.first if same_norm else nn.BatchNorm2d(CHANNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.convolution(self.first(self.convolution(x)).relu()))


@pytest.mark.parametrize("name", ["pocket_unet", "pytorch_unet", "resnet34_unet"])
def test_all_norms_of_a_network_are_folded(make, name):
    model = make(name, width=4)
    folded = fold_batch_norms(model, CHANNELS)
    assert norms(model) > 0
    assert norms(folded) == 0
    assert same_numbers(model, folded)


def test_a_norm_that_holds_its_activation_leaves_the_activation(make):
    model = make("unet:test_efficientnet", decoder_channels=(8, 8, 8, 8, 4))
    folded = fold_batch_norms(model, CHANNELS)
    assert norms(folded) == 0
    assert same_numbers(model, folded)


def test_norms_of_transposed_convolutions_are_folded():
    model = statistics(nn.Sequential(nn.ConvTranspose2d(CHANNELS, 6, 2, stride=2), nn.BatchNorm2d(6)))
    folded = fold_batch_norms(model, CHANNELS)
    assert norms(folded) == 0
    assert same_numbers(model, folded)


@pytest.mark.parametrize("same_norm", [True, False])
def test_a_convolution_that_is_used_twice_is_folded_if_its_norm_is_too(same_norm):
    model = statistics(Twice(same_norm=same_norm))
    folded = fold_batch_norms(model, CHANNELS)
    assert norms(folded) == (0 if same_norm else 2)
    assert same_numbers(model, folded)


def test_where_the_convolution_is_looked_at_too_norms_stay():
    model = statistics(Around())
    folded = fold_batch_norms(model, CHANNELS)
    assert norms(folded) == 1
    assert same_numbers(model, folded)


def test_norms_before_convolutions_stay():
    model = statistics(nn.Sequential(nn.BatchNorm2d(CHANNELS), nn.Conv2d(CHANNELS, 3, 1)))
    assert norms(fold_batch_norms(model, CHANNELS)) == 1


def test_the_network_itself_stays_as_it_is(pocket):
    before, pocket = copy.deepcopy(pocket.state_dict()), pocket.train()
    fold_batch_norms(pocket, CHANNELS)
    assert pocket.training
    assert norms(pocket) > 0
    assert all(torch.equal(each, before[name]) for name, each in pocket.state_dict().items())
