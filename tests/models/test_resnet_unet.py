"""The U-Net on ResNet-34 with added skips: which sizes it takes as they are."""

import pytest
import torch

import goldens
from uvala.models import resnet_unet
from uvala.models.catalog import create_model


@pytest.fixture(scope="module")
def model():
    small = {"width": 4, "layers": (1, 1, 1, 1)}
    return goldens.filled(create_model("resnet34_unet", in_channels=1, num_classes=2, **small))


def logits(model, image):
    with torch.no_grad():
        return model(image)


def padded_by_hand(image, height, width):
    rows = torch.arange(height).clamp(max=image.shape[-2] - 1)
    columns = torch.arange(width).clamp(max=image.shape[-1] - 1)
    return image[..., rows, :][..., columns]


@pytest.mark.parametrize("size", [(48, 64), (60, 80), (4, 33)], ids=str)
def test_size_between_is_padded_to_a_multiple_of_32(model, size):
    image = torch.randn(1, 1, *size)
    whole = padded_by_hand(image, *(-(-side // 32) * 32 for side in size))
    torch.testing.assert_close(logits(model, image), logits(model, whole)[..., : size[0], : size[1]])


@pytest.mark.parametrize("size", [(62, 62), (61, 63), (29, 64), (62, 93)], ids=str)
def test_size_whose_halves_round_up_to_a_multiple_is_not_padded(model, size, monkeypatch):
    image = torch.randn(1, 1, *size)
    expected = logits(model, image)
    # as if there were no padding at all, and no cropping of the result
    monkeypatch.setattr(resnet_unet, "pad_to_multiple", lambda image, *_, **__: (image, image.shape[-2:]))
    assert torch.equal(logits(model, image), expected)


def test_size_next_to_those_would_not_work_without_padding(model, monkeypatch):
    monkeypatch.setattr(resnet_unet, "pad_to_multiple", lambda image, *_, **__: (image, image.shape[-2:]))
    with pytest.raises(RuntimeError, match="must match the size"):
        logits(model, torch.randn(1, 1, 60, 64))


def test_numbers_of_62_are_part_of_the_64_that_the_origin_returns(model):
    features = {}
    model.decoders[-1].register_forward_hook(lambda *call: features.update(last=call[-1]))
    result = logits(model, torch.randn(1, 1, 62, 62))
    with torch.no_grad():
        whole = model.head(features["last"])
    assert whole.shape[-2:] == (64, 64)
    torch.testing.assert_close(result, whole[..., :62, :62])


def test_three_in_four_channels_are_left_out_in_the_middle_of_a_step_up():
    model = create_model("resnet34_unet", in_channels=3, num_classes=1)
    assert [decoder[1][0].in_channels for decoder in model.decoders] == [128, 64, 32, 16]
