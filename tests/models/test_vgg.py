"""VGG16's convolutions, next to torchvision's."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.models.vgg import make_layers

from uvala.models.vgg import VGG16, pad_uneven
from uvala.weights.vgg_names import vgg16_names

WIDTH = 4
COLUMN_D = [4, 4, "M", 8, 8, "M", 16, 16, 16, "M", 32, 32, 32, "M", 32, 32, 32, "M"]  # table 1, narrow


@pytest.mark.parametrize("pooled", [False, True])
def test_maps_are_those_of_torchvision_around_each_pooling(pooled):
    theirs = make_layers(COLUMN_D)
    ours = VGG16(3, WIDTH, pooled=pooled)
    named = theirs.state_dict()
    ours.load_state_dict(
        {
            our.removeprefix("vgg.") + kind: named[their.removeprefix("features.") + kind]
            for our, their in vgg16_names("vgg", "features")
            for kind in (".weight", ".bias")
        }
    )
    image = torch.randn(2, 3, 65, 97)
    maps = ours(image)
    x, expected = image, []
    for layer in theirs:
        before, x = x, layer(x)
        if isinstance(layer, torch.nn.MaxPool2d):
            expected.append(x if pooled else before)
    assert len(expected) == 5
    assert all(torch.equal(*pair) for pair in zip(maps, expected, strict=True))


def test_channels_are_those_of_the_maps():
    model = VGG16(1, WIDTH)
    assert (
        [each.shape[1] for each in model(torch.randn(1, 1, 32, 32))] == model.channels == [4, 8, 16, 32, 32]
    )


def test_fewer_stages_give_the_first_maps():
    assert [each.shape[-1] for each in VGG16(1, WIDTH, stages=3)(torch.randn(1, 1, 20, 20))] == [20, 10, 5]


@pytest.mark.parametrize(("ceil_mode", "sizes"), [(False, [33, 16, 8, 4, 2]), (True, [33, 17, 9, 5, 3])])
def test_odd_sizes_are_rounded_as_asked(ceil_mode, sizes):
    assert [
        each.shape[-1] for each in VGG16(1, WIDTH, ceil_mode=ceil_mode)(torch.randn(1, 1, 33, 33))
    ] == sizes


class TestPadUneven:
    """Sizes whose pooling loses nothing that is added later pass; the others are padded."""

    @pytest.mark.parametrize("size", [(32, 64), (65, 97), (39, 71)], ids=str)
    def test_sizes_with_whole_rows_of_the_stride_pass(self, size):
        image = torch.randn(1, 1, *size)
        assert pad_uneven(image, 8, 32)[0] is image

    @pytest.mark.parametrize(
        ("size", "padded"), [((1, 33), (32, 33)), ((80, 65), (96, 65)), ((31, 104), (32, 128))], ids=str
    )
    def test_the_others_are_padded_along_that_axis(self, size, padded):
        image = torch.randn(1, 1, *size)
        result, before = pad_uneven(image, 8, 32)
        assert before == size
        down, right = padded[0] - size[0], padded[1] - size[1]
        assert torch.equal(result, F.pad(image, (0, right, 0, down), mode="replicate"))
