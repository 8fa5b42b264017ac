"""Of every registered network: `uvala.predict_logits` gives the same logits in tiles and in one piece."""

import copy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import uvala
from members import small_member
from uvala.arrays import Size
from uvala.models.catalog import create_model, model_config, model_names
from uvala.models.facts import NetworkFacts, measure
from uvala.tiling.geometry import plan_tiles
from uvala.tiling.seams import difference

CHANNELS, CLASSES = 1, 3
TILE = 64

pytestmark = pytest.mark.parametrize("name", model_names())


@cache
def predicting(name: str) -> tuple[nn.Module, NetworkFacts]:
    """A small member of the family with logits of all pixels, and batch norms as after a training."""
    member, options = small_member(name)
    if "borders" in model_config(name).model_fields:
        options["borders"] = "mirror"  # valid convolutions give fewer logits than pixels otherwise
    torch.manual_seed(0)
    model = create_model(member, in_channels=CHANNELS, num_classes=CLASSES, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model, measure(model, CHANNELS)


def image_of(size: Size) -> Tensor:
    """[1, H, W], brighter towards the right, so that no part has the numbers of the whole."""
    noise = torch.randn(CHANNELS, *size, generator=torch.Generator().manual_seed(0))
    return noise + torch.linspace(-2, 2, size.width)


def strip(facts: NetworkFacts, height: int) -> Size:
    """A size between multiples that is cut into two tiles or more, hardly larger than it must be."""
    assert facts.halo is not None
    for width in range(5 * facts.multiple - 1, 10**6, facts.multiple):
        if len(plan_tiles(Size(height, width), TILE, facts.halo, facts.multiple)) > 1:
            return Size(height, width + facts.multiple)
    raise AssertionError("a strip of any length is one tile")


def assert_same_in_tiles(model: nn.Module, size: Size) -> None:
    image = image_of(size)
    whole = uvala.predict_logits(model, image)
    assert whole.std() > 0
    tiles = uvala.predict_logits(model, image, tile=TILE)
    allowed = 1e-5 + rounding(model, image, whole)
    assert difference(tiles, whole).largest <= allowed
    # on some processors rounding decides between two classes that are as good as equally likely
    likeliest, second = whole.topk(2, dim=0).values
    tied = likeliest - second <= 2 * allowed * whole.std()
    assert not ((tiles.argmax(dim=0) != whole.argmax(dim=0)) & ~tied).any()


def rounding(model: nn.Module, image: Tensor, whole: Tensor) -> float:
    """How far the whole image's logits in float32 are themselves from those in float64.

    The smallest tiles take other paths through PyTorch than the image, which round otherwise; a network with
    random weights may make much of that.
    """
    with torch.no_grad():
        true = copy.deepcopy(model).double()(image[None].double())[0]
    return difference(whole.double(), true).largest


def test_smaller_than_a_tile(name):
    assert_same_in_tiles(predicting(name)[0], Size(20, 45))


@pytest.mark.parametrize("height", [33, 150], ids=["strip", "broader strip"])
def test_cut_where_no_multiple_ends(name, height):
    model, facts = predicting(name)
    if facts.halo is None:
        pytest.skip("no tile is exact")
    assert_same_in_tiles(model, strip(facts, height))
