"""Gradient checkpointing trains as training without it does, and keeps less."""

import pytest
import torch
from torch import Tensor, nn

from members import small_member
from uvala.models.catalog import create_model, model_names

NETWORKS = [small_member(name) for name in model_names()]
NETWORKS += [
    ("pytorch_unet", {"width": 4, "bilinear": True}),
    ("unet", {"width": 4, "dropout": 0.5, "skip": "attention"}),
    ("paper_unet", {"width": 4, "depth": 3, "norm": "batch", "borders": "mirror"}),
]


def make(name: str, options: dict, *, checkpointing: bool) -> nn.Module:
    torch.manual_seed(0)
    model = create_model(name, in_channels=2, num_classes=3, **options)
    return model.use_checkpointing(checkpointing).train()


def trained_once(model: nn.Module, size: int = 64) -> nn.Module:
    """The network after the way back of one batch."""
    torch.manual_seed(1)  # for the image, and for dropout
    image = torch.randn(2, 2, size, size)
    logits = model(image)
    heads = logits if isinstance(logits, list) else [logits]
    sum(head.square().mean() for head in heads).backward()
    return model


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
def test_gradients_and_statistics_are_those_without_it(name, options):
    plain = trained_once(make(name, options, checkpointing=False))
    checkpointed = trained_once(make(name, options, checkpointing=True))
    for (key, expected), actual in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(actual.grad, expected.grad, msg=lambda text, key=key: f"{key}: {text}")
    for (key, expected), actual in zip(plain.named_buffers(), checkpointed.buffers(), strict=True):
        assert torch.equal(actual, expected), key


@pytest.mark.parametrize(("name", "options"), NETWORKS, ids=str)
def test_less_is_kept_for_the_way_back(name, options):
    def kept(checkpointing: bool) -> int:
        model = make(name, options, checkpointing=checkpointing)
        sizes = []

        def count(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            model(torch.randn(2, 2, 64, 64))
        return sum(sizes)

    assert kept(checkpointing=True) < 0.5 * kept(checkpointing=False)


def test_can_be_turned_off_again():
    model = create_model("unet", in_channels=1, num_classes=2, width=4)
    assert model.use_checkpointing().checkpointing
    assert not model.use_checkpointing(False).checkpointing


def test_changes_nothing_outside_of_training():
    model = create_model("unet", in_channels=2, num_classes=2, width=4).eval()
    image = torch.randn(1, 2, 32, 32)
    with torch.no_grad():
        expected = model(image)
    assert torch.equal(model.use_checkpointing()(image), expected)
