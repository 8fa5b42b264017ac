"""Fully convolutional networks on VGG16 and on ResNet, at sizes where their origins fail or say little."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from uvala.models.catalog import create_model
from uvala.models.facts import measure

SMALL = {"in_channels": 3, "num_classes": 4, "width": 4}


def make(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, **SMALL, **options).eval()


@torch.no_grad()
def logits(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    return model(image)


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s"])
class TestScores:
    """FCN-32s, -16s and -8s with learned steps."""

    def test_dropout_is_on_in_training_alone(self, name):
        model, image = make(name, fc_width=64), torch.randn(1, 3, 64, 64)
        assert torch.equal(logits(model, image), logits(model, image))
        model.train()
        assert not torch.equal(logits(model, image), logits(model, image))

    def test_images_below_the_least_size_are_padded(self, name):
        model, image = make(name, fc_width=8), torch.randn(1, 3, 7, 40)
        padded = F.pad(image, (0, 0, 0, 32 - 7), mode="replicate")
        assert torch.equal(logits(model, image), logits(model, padded)[..., :7, :])

    def test_a_tile_is_exact_with_enough_context(self, name):
        assert measure(make(name, fc_width=8), 3).halo is not None


def test_fcn16s_pads_what_its_origin_refuses():
    model, image = make("fcn16s", fc_width=8), torch.randn(1, 3, 80, 112)
    padded = F.pad(image, (0, 16, 0, 16), mode="replicate")
    assert torch.equal(logits(model, image), logits(model, padded)[..., :80, :112])


def test_corners_of_fcn32s_are_the_corners_of_its_scores():
    model, image, scores = make("fcn32s", fc_width=8), torch.randn(1, 3, 70, 100), []
    model.classify.register_forward_hook(lambda module, inputs, output: scores.append(output))
    result = logits(model, image)
    assert scores[0].shape[-2:] == (2, 3)
    torch.testing.assert_close(result[..., ::69, ::99], scores[0][..., ::1, ::2])


class TestDeconvolutions:
    """UNET-ZOO's FCNs."""

    def test_what_the_poolings_drop_repeats_the_last_row_and_column(self):
        result = logits(make("fcn32s_deconv"), torch.randn(1, 3, 70, 90))
        assert torch.equal(result[..., 64:, :], result[..., 63:64, :].expand(-1, -1, 6, -1))
        assert torch.equal(result[..., 80:], result[..., 79:80].expand(-1, -1, -1, 10))
        assert not torch.equal(result[..., 79], result[..., 78])

    def test_fcn8s_pads_what_its_origin_refuses(self):
        model, image = make("fcn8s_deconv"), torch.randn(1, 3, 80, 65)
        padded = F.pad(image, (0, 0, 0, 16), mode="replicate")
        assert torch.equal(logits(model, image), logits(model, padded)[..., :80, :])

    def test_fcn32s_starts_from_pool4(self):
        assert len(make("fcn32s_deconv").trunk.stages) == 4
        assert make("fcn32s_deconv").multiple == 16


class TestResNet:
    """torchvision's FCN."""

    SHALLOW = (1, 1, 1, 1)

    def test_aux_gives_two_outputs_in_training_whose_weights_are_as_two_to_one(self):
        model = make("fcn_resnet50", layers=self.SHALLOW, aux=True)
        image = torch.randn(2, 3, 33, 40)
        assert logits(model, image).shape == (2, 4, 33, 40)
        model.train()
        assert [each.shape for each in logits(model, image)] == [(2, 4, 33, 40)] * 2
        assert model.loss_weights == pytest.approx((2 / 3, 1 / 3))

    def test_a_tile_is_exact_with_enough_context(self):
        assert measure(make("fcn_resnet50", layers=self.SHALLOW), 3).halo is not None


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fcn8s", {"fc_width": 8}),
        ("fcn8s_deconv", {}),
        ("fcn_resnet50", {"layers": (1, 1, 1, 1), "aux": True}),
        ("fcn8s_caffe", {"fc_width": 8}),
    ],
)
def test_checkpointing_changes_no_gradient(name, options):
    image = torch.randn(2, 3, 40, 64)
    gradients = []
    for checkpointing in (False, True):
        model = make(name, **options).train().use_checkpointing(checkpointing)
        torch.manual_seed(1)  # of the dropout
        outputs = model(image)
        sum(each.square().mean() for each in (outputs if isinstance(outputs, list) else [outputs])).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
