"""Tiles that are blended: by choice, or since there is no other way; both are said."""

import pytest
import torch
from torch import Tensor, nn

from uvala.arrays import Size
from uvala.models.blocks import InstanceNorm
from uvala.tiling.blend import window_named
from uvala.tiling.config import TileConfig
from uvala.tiling.geometry import plan_tiles
from uvala.tiling.logits import logits_in_tiles, predict_logits
from uvala.tiling.run import predict_probabilities
from uvala.tiling.seams import difference, seam_error

CPU = torch.device("cpu")


def random_image(height: int, width: int) -> Tensor:
    """[3, height, width]"""
    return torch.randn(3, height, width, generator=torch.Generator().manual_seed(0))


def predict(model: nn.Module, heard: list[str], *, halo: int | None = 2, **tiles) -> Tensor:
    return predict_probabilities(
        model,
        random_image(150, 131),
        halo=halo,
        multiple=1,
        tiles=TileConfig(**{"size": 64, "overlap": 16, "whole_below": 0, **tiles}),
        device=CPU,
        on_blended=heard.append,
    )


class TestByChoice:
    """`mode = "blended"` blends the tiles of any network."""

    @pytest.mark.parametrize("window", ["smooth", "gaussian"])
    @pytest.mark.parametrize("overlap", [0, 1, 16, 63, 200])
    def test_what_looks_at_one_pixel_is_exact_in_any_window(self, window, overlap):
        model, image = nn.Conv2d(3, 2, 1), random_image(150, 131)
        tiles = TileConfig(mode="blended", window=window, overlap=overlap, size=32, whole_below=0)
        torch.testing.assert_close(
            logits_in_tiles(model, image, tiles), predict_logits(model, image), rtol=0, atol=1e-5
        )

    def test_is_an_approximation_where_exact_tiles_would_not_be(self, pocket_unet):
        image = random_image(300, 260)
        blended = seam_error(pocket_unet, image, TileConfig(size=64, overlap=32))
        exact = difference(predict_logits(pocket_unet, image, tile=64), predict_logits(pocket_unet, image))
        assert exact.largest <= 1e-5 < 0.01 < blended.largest
        assert exact.changed == 0 < blended.changed < 0.2

    def test_nobody_need_be_told(self, pocket_unet):
        heard: list[str] = []
        predict(nn.Conv2d(3, 2, 3, padding=1), heard, mode="blended")
        assert not heard


class TestWindows:
    def test_gaussian_is_that_of_other_projects(self):
        # MONAI's and nnU-Net's: a deviation of an eighth of the side, 1 in the middle
        (tile, *_) = plan_tiles(Size(33, 33), 40, 0, 1)
        window = window_named("gaussian")(tile)
        assert window.shape == (33, 33)
        assert window[16, 16] == 1
        torch.testing.assert_close(window[16, 20], torch.exp(torch.tensor(-0.5 * (4 / (33 / 8)) ** 2)))

    def test_smooth_is_one_where_the_tile_was_not_cut(self):
        (tile, *_) = plan_tiles(Size(33, 33), 40, 0, 1)
        assert (window_named("smooth")(tile) == 1).all()


class TestTelling:
    """Who did not ask for an approximation hears that it is one, once for an image."""

    def test_of_a_network_of_which_no_tile_is_exact(self):
        heard: list[str] = []
        predict(nn.Conv2d(3, 2, 3, padding=1), heard, halo=None)
        assert heard == ["no tile of this network gives the numbers of the whole image"]

    def test_of_more_numbers_of_the_whole_image_than_are_wanted(self):
        heard: list[str] = []
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), InstanceNorm(4), InstanceNorm(4))
        predict(model, heard, statistics=1)
        (why,) = heard
        assert "wants 2 numbers of the whole image" in why
        assert "tiles.statistics" in why

    @pytest.mark.parametrize("tiles", [{}, {"whole_below": 150 * 131}], ids=["in tiles", "in one piece"])
    def test_of_exact_numbers_there_is_nothing_to_say(self, tiles):
        heard: list[str] = []
        halo = None if tiles else 2
        predict(nn.Conv2d(3, 2, 3, padding=1), heard, halo=halo, **tiles)
        assert not heard
