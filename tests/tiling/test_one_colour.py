"""Tiles of one colour cost nothing after the first."""

import pytest
import torch
from torch import Tensor, nn

from uvala.tiling.config import TileConfig
from uvala.tiling.one_colour import Answers, colour_of
from uvala.tiling.run import predict_probabilities, probabilities_whole
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.use import TiledUse
from uvala.tiling.whole import InTile

CPU = torch.device("cpu")


class Counting(nn.Module):
    """A network, and how many tiles it was asked for."""

    multiple = 4

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.asked = model, 0

    def forward(self, image: Tensor) -> Tensor:
        self.asked += 0 if image.is_meta else len(image)
        return self.model(image)


def tiled(model: nn.Module, image: Tensor, *, halo: int | None = 22, test_time=None, **tiles) -> Tensor:
    config = TileConfig(**{"size": 64, "whole_below": 0, **tiles})
    use = TiledUse(model, device=CPU, halo=halo, multiple=4, tiles=config, test_time=test_time)
    return predict_probabilities(use, image)


def empty(height: int, width: int) -> Tensor:
    """[3, height, width], of one colour"""
    return torch.tensor([0.25, -1.0, 3.0])[:, None, None].expand(3, height, width)


class TestAnEmptyImage:
    """Every tile of it looks alike."""

    @pytest.mark.parametrize("batch", [1, 3])
    @pytest.mark.parametrize("halo", [22, None], ids=["exact", "blended"])
    def test_is_asked_for_once(self, pocket_unet, halo, batch):
        model = Counting(pocket_unet)
        tiled(model, empty(400, 400), halo=halo, batch=batch)
        assert model.asked == 1

    def test_has_the_numbers_of_the_whole_image(self, pocket_unet):
        image = empty(400, 333)
        whole = probabilities_whole(pocket_unet, image, CPU)
        torch.testing.assert_close(tiled(pocket_unet, image), whole, rtol=0, atol=1e-6)

    def test_is_asked_for_once_in_all_views_of_one_shape(self, pocket_unet):
        model = Counting(pocket_unet)
        tiled(model, empty(400, 400), test_time=TestTimeConfig(flip_vertical=True, flip_horizontal=True))
        assert model.asked == 1


def test_an_image_that_is_empty_in_part_has_the_numbers_of_the_whole(pocket_unet):
    image = empty(500, 400).clone()
    image[:, 180:240, 100:150] = torch.randn(3, 60, 50, generator=torch.Generator().manual_seed(0))
    model = Counting(pocket_unet)
    found, asked = tiled(model, image), model.asked
    whole = probabilities_whole(pocket_unet, image, CPU)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)
    assert asked < 25


def test_a_network_that_is_told_where_it_is_answers_for_each_tile(monkeypatch):
    class Stretch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            below = nn.functional.avg_pool2d(x, 4)
            return nn.functional.interpolate(below, scale_factor=4, mode="bilinear", align_corners=True)

    model = Counting(Stretch())
    places = []
    original = InTile.__post_init__
    monkeypatch.setattr(InTile, "__post_init__", lambda self: (places.append(self.read), original(self))[1])
    tiled(model, empty(400, 400), halo=8)
    assert model.asked == len(set(places)) > 1


class TestColour:
    def test_is_the_value_of_each_channel(self):
        assert colour_of(empty(3, 5)) == (0.25, -1.0, 3.0)

    @pytest.mark.parametrize("place", [(0, 0, 1), (2, 3, 4), (1, 3, 0)], ids=str)
    def test_one_other_pixel_is_enough_to_have_none(self, place):
        image = empty(4, 5).clone()
        image[place] += 1
        assert colour_of(image) is None

    def test_pixels_that_are_no_numbers_have_none(self):
        assert colour_of(torch.full((1, 3, 3), torch.nan)) is None


class TestAnswers:
    def test_are_kept_for_the_last_few_colours_and_sizes(self):
        asked, answers = [], Answers(most=2)
        for value, side in [(0, 3), (0, 3), (0, 4), (0, 3), (1, 3), (0, 3), (0, 4)]:
            image = torch.full((1, side, side), float(value))
            answer = answers.of((float(value),), image, lambda each: (asked.append(each), each + 1)[1])
            assert torch.equal(answer, image + 1)
        assert [(each.mean().item(), each.shape[-1]) for each in asked] == [(0, 3), (0, 4), (1, 3), (0, 4)]
