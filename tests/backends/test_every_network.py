"""Which network works with which runtime: each either says the same, or torch has to tell it something."""

import pytest
import torch
from torch import nn

from members import small_member
from uvala.arrays import Size
from uvala.backends.accelerate import accelerate
from uvala.backends.agreement import compare, noise
from uvala.errors import BackendError
from uvala.models.catalog import create_model, model_config, model_names
from uvala.tiling.whole import NotLocal, survey

CHANNELS = 2
EVERY = model_names()
MAIN = ["pocket_unet", "unet", "pytorch_unet", "unet8", "unet:resnet34", "attention_unet", "resnet34_unet"]
PAIRS = [(name, backend) for name in EVERY for backend in ("onnxruntime", "openvino")]
PAIRS += [(name, "ncnn") for name in MAIN]


def small(name: str) -> nn.Module:
    member, options = small_member(name)
    torch.manual_seed(0)
    if "borders" in model_config(name).model_fields:
        options["borders"] = "mirror"
    return create_model(member, in_channels=CHANNELS, num_classes=3, **options).eval()


def needs_telling(model: nn.Module) -> bool:
    side = 2 * model.multiple
    try:
        return any(
            survey(model, CHANNELS, size, model.multiple).needed
            for size in (Size(side, side), Size(side + 1, side + model.multiple - 1))
        )
    except NotLocal:
        return True


@pytest.mark.parametrize(("name", "backend"), PAIRS, ids=str)
def test_logits_are_those_of_torch(name, backend):
    model = small(name)
    if needs_telling(model):
        with pytest.raises(BackendError, match="which takes"):
            accelerate(model, backend, in_channels=CHANNELS, tile=Size(128, 128), threads=1)
        return
    fast = accelerate(model, backend, in_channels=CHANNELS, tile=Size(128, 128), threads=1)
    for height, width in [(4, 5), (3, 4.5), (2.1, 3.3)]:
        size = (int(height * model.multiple), int(width * model.multiple))
        image = noise(1, CHANNELS, *size)
        with torch.no_grad():
            found = compare(model(image), fast(image))
        assert found.difference < 1e-4, size
        assert found.same_class > 0.999, size
