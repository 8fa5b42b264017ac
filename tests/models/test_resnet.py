"""ResNet as an encoder, next to torchvision's."""

import pytest
import torch
import torchvision
from torch import nn

from uvala.models.resnet import ResNet
from uvala.weights.resnet_names import ENCODER_NAMES, count_blocks, resnet_names

KINDS = {
    "resnet18": ("resnet18", {"block": "basic", "layers": (2, 2, 2, 2)}, {}),
    "resnet34": ("resnet34", {"block": "basic"}, {}),
    "resnet50": ("resnet50", {"block": "bottleneck"}, {}),
    "dilated": (
        "resnet50",
        {"block": "bottleneck", "dilated": True},
        {"replace_stride_with_dilation": [False, True, True]},
    ),
}


@pytest.fixture(params=KINDS)
def pair(request) -> tuple[ResNet, nn.Module]:
    """Ours and torchvision's with the same weights, in eval mode."""
    name, options, theirs = KINDS[request.param]
    torch.manual_seed(0)
    other = getattr(torchvision.models, name)(**theirs).eval()
    ours = ResNet(3, **options).eval()
    pairs = resnet_names("net", "", layers=options.get("layers", (3, 4, 6, 3)))
    state = other.state_dict()
    ours.load_state_dict({key: state[_translate(f"net.{key}", dict(pairs))] for key in ours.state_dict()})
    return ours, other


def _translate(key: str, names: dict[str, str]) -> str:
    prefix = key
    while prefix not in names:
        prefix = prefix.rpartition(".")[0]
    return names[prefix] + key[len(prefix) :]


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (1, 7)], ids=str)
def test_maps_are_those_of_torchvision(pair, size):
    ours, other = pair
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        x = other.relu(other.bn1(other.conv1(image)))
        expected = [x]
        x = other.maxpool(x)
        for layer in [other.layer1, other.layer2, other.layer3, other.layer4]:
            x = layer(x)
            expected.append(x)
        actual = ours(image)
    for one, two in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, two)
    assert [each.shape[1] for each in actual] == ours.channels


def test_every_tensor_of_torchvision_has_a_name(pair):
    ours, other = pair
    assert len(ours.state_dict()) == len(other.state_dict()) - 2  # the classifier's


def test_pooling_of_the_stem_can_be_another():
    model = ResNet(3, block="basic", width=4, pool=nn.MaxPool2d(2)).eval()
    with torch.no_grad():
        stem, first, *_ = model(torch.randn(1, 3, 65, 65))
    assert (stem.shape[-1], first.shape[-1]) == (33, 16)


def test_blocks_are_counted_by_their_names():
    model = torchvision.models.resnet18()
    shapes = {f"trunk.{key}": tuple(value.shape) for key, value in model.state_dict().items()}
    assert count_blocks(shapes, prefix="trunk.") == (2, 2, 2, 2)


def test_layers_may_have_other_names():
    pairs = dict(resnet_names("encoder", "", names=ENCODER_NAMES))
    assert pairs["encoder.stages.0.1"] == "firstbn"
    assert pairs["encoder.stages.1.1.body.0.0"] == "encoder1.0.conv1"
    assert pairs["encoder.stages.4.2.shortcut"] == "encoder4.2.downsample"
