"""CE-Net's two blocks, next to the paper's formulas, and small images."""

import pytest
import torch
import torch.nn.functional as F

import goldens
from uvala.models.catalog import create_model
from uvala.models.cenet import DenseAtrous, MultiKernelPooling


def test_four_branches_of_the_atrous_block_are_added_to_its_input():
    block = goldens.filled(DenseAtrous(3))
    x = torch.randn(2, 3, 12, 9)
    one, three, five = (
        lambda x, conv=conv: F.conv2d(
            x, conv.weight, conv.bias, padding=conv.dilation, dilation=conv.dilation
        )
        for conv in block.atrous
    )
    with torch.no_grad():
        branches = [one(x), block.mix(three(x)), block.mix(three(one(x))), block.mix(five(three(one(x))))]
        torch.testing.assert_close(block(x), x + sum(branch.relu() for branch in branches))


def test_atrous_block_sees_19_pixels():
    block = DenseAtrous(1)
    for parameter in block.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 1, 31, 31, requires_grad=True)
    block(x)[0, 0, 15, 15].backward()
    rows = x.grad[0, 0].sum(dim=1).nonzero().flatten()
    assert (int(rows[0]), int(rows[-1])) == (15 - 9, 15 + 9)


def test_pooled_maps_stand_before_the_input():
    block = goldens.filled(MultiKernelPooling(5))
    x = torch.randn(1, 5, 6, 7)
    with torch.no_grad():
        result = block(x)
        largest = block.reduce(x[..., :6, :6].amax(dim=(2, 3), keepdim=True))  # the only square of side 6
    assert torch.equal(result[:, 4:], x)
    torch.testing.assert_close(result[:, 3:4], largest.expand(1, 1, 6, 7))


@pytest.mark.parametrize("size", [(64, 96), (180, 200), (1, 193)], ids=str)
def test_image_that_is_too_small_for_the_pooling_is_padded(size):
    small = {"width": 4, "layers": (1, 1, 1, 1)}
    model = goldens.filled(create_model("cenet", in_channels=1, num_classes=2, **small))
    image = torch.randn(1, 1, *size)
    height, width = (max(192, -(-side // 32) * 32) for side in size)
    whole = F.pad(image, (0, width - size[1], 0, height - size[0]), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(model(image), model(whole)[..., : size[0], : size[1]])
