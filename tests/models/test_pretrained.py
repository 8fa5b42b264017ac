"""ImageNet weights for the encoders that are written out: those of timm, at the right places."""

import pytest
import torch

from uvala.errors import ConfigError
from uvala.models import pretrained
from uvala.models.catalog import create_model
from uvala.models.encoders import make_encoder


@pytest.fixture
def lent(monkeypatch):
    """timm's networks as they were lent, by name; with random weights, since tests download nothing."""
    networks = {}

    def make(name, in_channels, *, depth, pretrained):
        assert pretrained
        networks[name] = make_encoder(name, in_channels, depth=depth).eval()
        return networks[name]

    monkeypatch.setattr(pretrained, "make_encoder", make)
    return networks


@pytest.mark.parametrize(
    ("name", "options", "lender"),
    [
        ("resnet34_unet", {}, "resnet34"),
        ("resnet34_unet", {"layers": (2, 2, 2, 2)}, "resnet18"),
        ("cenet", {}, "resnet34"),
        ("resnet50_unet", {}, "resnet50"),
        ("vgg16_unet", {}, "vgg16"),
    ],
)
def test_encoder_gives_the_maps_of_the_lender(lent, name, options, lender):
    model = create_model(name, in_channels=1, num_classes=2, pretrained=True, **options).eval()
    if name == "resnet50_unet":  # its own pooling is another one
        model.encoder.stages[1][0] = torch.nn.MaxPool2d(3, 2, padding=1)
    image = torch.randn(1, 1, 64, 96)
    with torch.no_grad():
        ours, theirs = model.encoder(image), lent[lender](image, model)
    # those of VGG16 are before the pooling, so that the lender's last has no counterpart
    shared = [(a, b) for a in ours for b in theirs if a.shape == b.shape]
    assert len(shared) >= 4
    assert all(torch.equal(a, b) for a, b in shared)


def test_segnet_borrows_a_vgg_with_norms(lent):
    model = create_model("segnet", in_channels=3, num_classes=2, pretrained=True).eval()
    x = image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for encode in model.encoders:
            x = torch.nn.functional.max_pool2d(encode(x), 2)
        assert torch.equal(x, lent["vgg16_bn"](image, model)[-1])


@pytest.mark.parametrize(
    ("name", "options", "why"),
    [
        ("cenet", {"width": 32}, "needs width=64"),
        ("vgg16_unet", {"width": 8}, "needs width=64"),
        ("resnet34_unet", {"layers": (1, 1, 1, 1)}, r"\[3, 4, 6, 3\]"),
        ("resnet50_unet", {"layers": (2, 2, 2, 2)}, r"\[3, 4, 23, 3\]"),
    ],
)
def test_network_that_nobody_has_trained_is_refused(name, options, why):
    with pytest.raises(ConfigError, match=why):
        create_model(name, in_channels=3, num_classes=2, pretrained=True, **options)
