"""Networks that tiling is tried on."""

import pytest
import torch
from torch import nn

from uvala.models.catalog import create_model


def untrained(name: str, **options: object) -> nn.Module:
    """A network in eval mode whose logits differ as much as a trained one's."""
    torch.manual_seed(0)
    model = create_model(name, **{"in_channels": 3, "num_classes": 3, **options}).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    nn.init.normal_(model.head.weight)
    return model


@pytest.fixture(scope="module")
def pocket_unet() -> nn.Module:
    return untrained("pocket_unet")


@pytest.fixture(scope="module")
def unet() -> nn.Module:
    return untrained("unet", width=8)


@pytest.fixture(scope="module")
def bilinear_unet() -> nn.Module:
    return untrained("unet", width=8, up="bilinear", depth=3)


@pytest.fixture(scope="module")
def folded_unet() -> nn.Module:
    return untrained("unet", width=16, fold=2, depth=2)


@pytest.fixture(scope="module")
def instance_unet() -> nn.Module:
    return untrained("unet", width=8, norm="instance", depth=2)
