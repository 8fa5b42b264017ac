"""Fully convolutional networks of four origins, in forms that no reference file has."""

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import segmentation
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation.fcn import FCN, FCNHead

import goldens
from peers import assert_there_and_back
from uvala.models.catalog import create_model
from uvala.weights.peers import from_peer, match_peer, to_peer

VARIANTS = [
    ("seed001_vggfcn", "fcn32s", {"in_channels": 1, "num_classes": 3, "width": 4, "fc_width": 8}),
    ("seed001_vggfcn", "fcn32s", {"in_channels": 4, "num_classes": 1, "width": 3, "fc_width": 6}),
    ("seed001_vggfcn", "fcn16s", {"in_channels": 1, "num_classes": 3, "width": 4, "fc_width": 8}),
    ("seed001_vggfcn", "fcn16s", {"in_channels": 4, "num_classes": 1, "width": 3, "fc_width": 6}),
    ("seed001_vggfcn", "fcn8s", {"in_channels": 1, "num_classes": 3, "width": 4, "fc_width": 8}),
    ("seed001_vggfcn", "fcn8s", {"in_channels": 4, "num_classes": 1, "width": 3, "fc_width": 6}),
    ("zoo_fcn", "fcn32s_deconv", {"in_channels": 3, "num_classes": 2, "width": 4}),
    ("zoo_fcn", "fcn32s_deconv", {"in_channels": 1, "num_classes": 5, "width": 6}),
    ("zoo_fcn", "fcn8s_deconv", {"in_channels": 3, "num_classes": 2, "width": 4}),
    ("zoo_fcn", "fcn8s_deconv", {"in_channels": 1, "num_classes": 5, "width": 7}),
    ("torchvision_fcn", "fcn_resnet50", {"in_channels": 3, "num_classes": 2, "width": 4}),
    (
        "torchvision_fcn",
        "fcn_resnet50",
        {"in_channels": 4, "num_classes": 5, "width": 2, "layers": (1, 3, 2, 1), "aux": True},
    ),
    ("caffe_fcn", "fcn32s_caffe", {"in_channels": 1, "num_classes": 3, "width": 4, "fc_width": 8}),
    ("caffe_fcn", "fcn16s_caffe", {"in_channels": 3, "num_classes": 2, "width": 3, "fc_width": 6}),
    ("caffe_fcn", "fcn8s_caffe", {"in_channels": 4, "num_classes": 5, "width": 2, "fc_width": 10}),
]


@pytest.mark.parametrize(("origin", "name", "options"), VARIANTS, ids=str)
def test_variant_goes_there_and_back(origin, name, options):
    assert_there_and_back(origin, name, **options)


def test_what_the_keys_of_the_papers_cannot_tell_is_a_hint():
    options = {"in_channels": 3, "num_classes": 2, "width": 2, "fc_width": 4}
    theirs = assert_there_and_back(
        "caffe_fcn", "fcn8s_caffe", hints={"at_once": True}, at_once=True, **options
    )
    assert match_peer("caffe_fcn", theirs).assumed == {"at_once": False}


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
def test_vggfcn_carries_the_whole_classifier_of_vgg16(name):
    theirs = to_peer("seed001_vggfcn", create_model(name, in_channels=3, num_classes=2, width=8, fc_width=16))
    shapes = {key: list(value.shape) for key, value in theirs.items() if key.startswith("vgg16.classifier")}
    assert shapes == {
        "vgg16.classifier.0.weight": [16, 64 * 7 * 7],
        "vgg16.classifier.0.bias": [16],
        "vgg16.classifier.3.weight": [16, 16],
        "vgg16.classifier.3.bias": [16],
        "vgg16.classifier.6.weight": [1000, 16],
        "vgg16.classifier.6.bias": [1000],
    }


class TestTorchvision:
    """Against the library itself."""

    @staticmethod
    def theirs(layers: list[int], num_classes: int, *, aux: bool, in_channels: int = 3) -> nn.Module:
        """What fcn_resnet50 puts together, with fewer blocks."""
        trunk = ResNet(Bottleneck, layers, replace_stride_with_dilation=[False, True, True])
        trunk.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        wanted = {"layer4": "out", "layer3": "aux"} if aux else {"layer4": "out"}
        auxiliary = FCNHead(1024, num_classes) if aux else None
        return FCN(
            IntermediateLayerGetter(trunk, return_layers=wanted), FCNHead(2048, num_classes), auxiliary
        )

    @pytest.mark.parametrize(
        ("layers", "options"),
        [([1, 2, 1, 2], {"aux": True}), ([2, 1, 2, 1], {"aux": False, "in_channels": 5})],
        ids=str,
    )
    def test_output_is_the_same_at_any_size(self, layers, options):
        torch.manual_seed(0)
        theirs = goldens.filled(self.theirs(layers, 3, **options)).double()
        ours = from_peer("auto", theirs.state_dict()).double()
        for size in [(64, 48), (65, 97), (8, 8), (1, 17)]:
            image = torch.randn(2, options.get("in_channels", 3), *size, dtype=torch.float64)
            with torch.no_grad():
                expected = theirs(image)
                torch.testing.assert_close(ours(image), expected["out"], rtol=1e-9, atol=1e-9)
                if options["aux"]:
                    ours.training = True  # the network alone, not its norms
                    torch.testing.assert_close(ours(image)[1], expected["aux"], rtol=1e-9, atol=1e-9)
                    ours.training = False

    def test_training_mode_is_the_same_but_for_the_dropout(self):
        theirs = goldens.filled(self.theirs([1, 1, 1, 1], 2, aux=True)).double()
        ours = from_peer("torchvision_fcn", theirs.state_dict()).double()
        image = torch.randn(2, 3, 33, 40, dtype=torch.float64)
        for each in (theirs.train(), ours.train()):
            for module in each.modules():
                if isinstance(module, nn.Dropout):
                    assert module.p == 0.1
                    module.eval()
        outputs, expected = ours(image), theirs(image)
        torch.testing.assert_close(outputs[0], expected["out"], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(outputs[1], expected["aux"], rtol=1e-9, atol=1e-9)
        back = to_peer("torchvision_fcn", ours)
        assert all(torch.allclose(back[key], value) for key, value in theirs.state_dict().items())

    def test_resnet101_is_told_by_its_blocks(self):
        with torch.device("meta"):
            theirs = segmentation.fcn_resnet101(weights=None, weights_backbone=None, num_classes=7)
        config = match_peer("auto", theirs.state_dict()).recipe.config
        assert config.layers == (3, 4, 23, 3)
        assert (config.num_classes, config.aux, config.width) == (7, False, 64)


def published(state: dict[str, Tensor], image: Tensor) -> Tensor:
    """voc-fcn8s by its prototxt, one layer a line, on the keys of its PyTorch conversions."""

    def conv(x, name, pad=0):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=pad)

    def up(x, name, stride):
        return F.conv_transpose2d(x, state[f"{name}.weight"], stride=stride)

    def crop(x, offset, like):
        return x[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

    x, pools = image, []
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        for index in range(1, count + 1):
            pad = 100 if (stage, index) == (1, 1) else 1
            x = conv(x, f"conv{stage}_{index}", pad=pad).relu()
        x = F.max_pool2d(x, 2, stride=2, ceil_mode=True)
        pools.append(x)
    x = conv(conv(conv(x, "fc6").relu(), "fc7").relu(), "score_fr")
    x = up(x, "upscore2", 2)
    x = x + crop(conv(pools[3], "score_pool4"), 5, x)
    x = up(x, "upscore_pool4", 2)
    x = x + crop(conv(pools[2], "score_pool3"), 9, x)
    return crop(up(x, "upscore8", 8), 31, image)


def keys_of_voc_fcn8s(classes: int, width: int, fc_width: int) -> OrderedDict:
    """Random weights of the published layers; the steps up are random too, as if they had been learned."""
    state, before = OrderedDict(), 3
    layers = []
    for stage, (count, factor) in enumerate([(2, 1), (2, 2), (3, 4), (3, 8), (3, 8)], start=1):
        for index in range(1, count + 1):
            layers.append((f"conv{stage}_{index}", before, factor * width, 3))
            before = factor * width
    layers += [
        ("fc6", before, fc_width, 7),
        ("fc7", fc_width, fc_width, 1),
        ("score_fr", fc_width, classes, 1),
    ]
    layers += [("score_pool3", 4 * width, classes, 1), ("score_pool4", 8 * width, classes, 1)]
    for name, inputs, outputs, side in layers:
        state[f"{name}.weight"] = goldens.tensor(f"{name}.weight", (outputs, inputs, side, side))
        state[f"{name}.bias"] = goldens.tensor(f"{name}.bias", (outputs,))
    for name, side in [("upscore2", 4), ("upscore8", 16), ("upscore_pool4", 4)]:
        state[f"{name}.weight"] = goldens.tensor(f"{name}.weight", (classes, classes, side, side))
    return state


@pytest.mark.parametrize("size", [(1, 1), (33, 70), (64, 96)], ids=str)
def test_published_fcn8s_says_what_its_prototxt_says(size):
    state = keys_of_voc_fcn8s(classes=3, width=4, fc_width=8)
    model = from_peer("auto", state).double()
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        expected = published({key: value.double() for key, value in state.items()}, image)
        torch.testing.assert_close(model(image), expected, rtol=1e-9, atol=1e-9)
    back = to_peer("caffe_fcn", model.float())
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], value) for key, value in state.items())
