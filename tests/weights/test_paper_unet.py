"""The paper's U-Net under the keys of jvanvugt/pytorch-unet, in forms that no reference file has."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from goldens import tensor
from peers import assert_there_and_back
from uvala.errors import WeightsError
from uvala.models.catalog import create_model
from uvala.weights.peers import from_peer, match_peer, to_peer

VARIANTS = [
    {"in_channels": 3, "num_classes": 5, "width": 4, "depth": 3},
    {"in_channels": 2, "num_classes": 1, "width": 8, "depth": 4, "norm": "batch"},
    {"in_channels": 1, "num_classes": 2, "width": 4, "depth": 2, "up": "bilinear"},
    {"in_channels": 4, "num_classes": 3, "width": 2, "depth": 5, "up": "bilinear", "norm": "batch"},
    {"in_channels": 1, "num_classes": 2, "width": 4, "depth": 1},
]


def by_their_keys(state: dict[str, Tensor], image: Tensor, *, padding: bool = False) -> Tensor:
    """The network written out from its description, with nothing of ours."""

    def conv(x: Tensor, key: str, padding: int = 0) -> Tensor:
        return F.conv2d(x, state[f"{key}.weight"], state[f"{key}.bias"], padding=padding)

    def block(x: Tensor, key: str) -> Tensor:
        normed = f"{key}.block.2.running_mean" in state
        for place in (0, 3) if normed else (0, 2):
            x = conv(x, f"{key}.block.{place}", int(padding)).relu()
            if normed:
                norm = [state[f"{key}.block.{place + 2}.{name}"] for name in ("weight", "bias")]
                seen = [state[f"{key}.block.{place + 2}.running_{name}"] for name in ("mean", "var")]
                x = F.batch_norm(x, *seen, *norm)
        return x

    x, skips, depth = image, [], sum(".block.0.weight" in key and "down_path" in key for key in state)
    for level in range(depth):
        x = block(F.max_pool2d(x, 2) if level else x, f"down_path.{level}")
        skips.append(x)
    for step in range(depth - 1):
        up = f"up_path.{step}.up"
        if f"{up}.weight" in state:
            x = F.conv_transpose2d(x, state[f"{up}.weight"], state[f"{up}.bias"], stride=2)
        else:
            x = conv(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), f"{up}.1")
        skip = skips[-2 - step]
        top, left = ((skip.shape[axis] - x.shape[axis]) // 2 for axis in (2, 3))
        skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        x = block(torch.cat([x, skip], dim=1), f"up_path.{step}.conv_block")
    return conv(x, "last")


def filled(**options) -> dict[str, Tensor]:
    """Their state_dict of a network with those options, float64, which keeps signals in range."""
    theirs = to_peer("paper_unet", create_model("paper_unet", **options))
    return {key: tensor(key, tuple(value.shape)).double() for key, value in theirs.items()}


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_variant_goes_there_and_back(options):
    assert_there_and_back(
        "paper_unet", "paper_unet", hints={"borders": "mirror"}, **options, borders="mirror"
    )


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("size", [(188, 204), (191, 200)], ids=str)
def test_variant_gives_the_numbers_of_its_description(options, size):
    state = filled(**options)
    image = torch.randn(1, options["in_channels"], *size, dtype=torch.float64)
    with torch.no_grad():
        actual = from_peer("paper_unet", state).double()(image)
        torch.testing.assert_close(actual, by_their_keys(state, image), rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@pytest.mark.parametrize("size", [(48, 80), (49, 81), (37, 75)], ids=str)
def test_padded_variant_needs_a_hint_and_gives_the_numbers_of_its_description(options, size):
    state = filled(**options)
    image = torch.randn(1, options["in_channels"], *size, dtype=torch.float64)
    with torch.no_grad():
        actual = from_peer("paper_unet", state, padding=True).double()(image)
        expected = by_their_keys(state, image, padding=True)
    assert actual.shape[-2:] == image.shape[-2:]
    height, width = expected.shape[-2:]  # theirs drops rows of sizes between multiples
    torch.testing.assert_close(actual[..., :height, :width], expected, rtol=0, atol=1e-9)


def test_what_the_keys_cannot_tell_is_said():
    state = filled(in_channels=1, num_classes=2, width=4, depth=2)
    assert match_peer("auto", state).assumed == {"padding": False}


def test_another_block_is_refused():
    state = filled(in_channels=1, num_classes=2, width=4, depth=2)
    with pytest.raises(WeightsError, match=r"unknown: down_path\.0\.block\.9\.weight"):
        from_peer("paper_unet", {**state, "down_path.0.block.9.weight": torch.zeros(3)})
