"""Networks as they are after a training: with batch norms that change what they get."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from uvala.models.catalog import create_model

CHANNELS, CLASSES = 2, 3

Make = Callable[..., nn.Module]


@pytest.fixture
def make() -> Make:
    """Makes a network of `create_model` with statistics in its batch norms."""

    def make(name: str, seed: int = 0, **options: Any) -> nn.Module:
        torch.manual_seed(seed)
        model = create_model(name, in_channels=CHANNELS, num_classes=CLASSES, **options).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias, std=0.1)
        return model

    return make


@pytest.fixture
def pocket(make: Make) -> nn.Module:
    """Two poolings; it pads other sizes than multiples of 4."""
    return make("pocket_unet", width=4)


@pytest.fixture
def ragged(make: Make) -> nn.Module:
    """Four poolings; it takes other sizes than multiples of 16 as they are."""
    return make("pytorch_unet", width=4)
