"""Tiles that are blended: by choice, or since there is no other way; both are said."""

from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.errors import UvalaError
from uvala.models.blocks import InstanceNorm
from uvala.tiling.blend import window_named
from uvala.tiling.config import TileConfig
from uvala.tiling.geometry import plan_tiles
from uvala.tiling.logits import logits_in_tiles, predict_logits
from uvala.tiling.run import predict_blocks, predict_probabilities
from uvala.tiling.seams import Blend, Crop, SeamError, difference
from uvala.tiling.shelf import Scratch
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.use import TiledUse

CPU = torch.device("cpu")


def random_image(height: int, width: int) -> Tensor:
    """[3, height, width]"""
    return torch.randn(3, height, width, generator=torch.Generator().manual_seed(0))


def predict(model: nn.Module, heard: list[Blend], *, halo: int | None = 2, **tiles) -> Tensor:
    config = TileConfig(**{"size": 64, "overlap": 16, "whole_below": 0, **tiles})
    use = TiledUse(model, device=CPU, halo=halo, multiple=1, tiles=config, on_blended=heard.append)
    return predict_probabilities(use, random_image(150, 131))


def blending(model: nn.Module, *, size: int = 64, **changes) -> TiledUse:
    """Of a network of which no tile is exact."""
    tiles = TileConfig(size=size, overlap=16, whole_below=0)
    return TiledUse(model, **{"device": CPU, "halo": None, "multiple": 1, "tiles": tiles, **changes})


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
        blended = seam_error(pocket_unet, image, size=64, overlap=32)
        exact = difference(predict_logits(pocket_unet, image, tile=64), predict_logits(pocket_unet, image))
        assert exact.largest <= 1e-5 < 0.01 < blended.largest
        assert exact.changed == 0 < blended.changed < 0.2


def seam_error(model: nn.Module, image: Tensor, **tiles: int) -> SeamError:
    """How far the logits of blended tiles are from those of the image in one piece."""
    blended = logits_in_tiles(model, image, TileConfig(mode="blended", whole_below=0, **tiles))
    return difference(blended, predict_logits(model, image))


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
    """Whoever predicts hears that it is an approximation, and why, once for an image."""

    def test_of_a_network_of_which_no_tile_is_exact(self):
        heard: list[Blend] = []
        predict(nn.Conv2d(3, 2, 3, padding=1), heard, halo=None)
        assert [(blend.why, blend.tile) for blend in heard] == [
            ("no tile of this network gives the numbers of the whole image", 64)
        ]

    def test_of_more_numbers_of_the_whole_image_than_are_wanted(self):
        heard: list[Blend] = []
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), InstanceNorm(4), InstanceNorm(4))
        predict(model, heard, statistics=1)
        (blend,) = heard
        assert "wants 2 numbers of the whole image" in blend.why
        assert "tiles.statistics" in blend.why

    def test_of_a_choice(self):
        heard: list[Blend] = []
        predict(nn.Conv2d(3, 2, 3, padding=1), heard, mode="blended")
        assert [blend.why for blend in heard] == ["tiles.mode asks for it"]

    @pytest.mark.parametrize("tiles", [{}, {"whole_below": 150 * 131}], ids=["in tiles", "in one piece"])
    def test_of_exact_numbers_there_is_nothing_to_say(self, tiles):
        heard: list[Blend] = []
        halo = None if tiles else 2
        predict(nn.Conv2d(3, 2, 3, padding=1), heard, halo=halo, **tiles)
        assert not heard


class Cramped(nn.Module):
    """A network on a device with room for so many pixels, and only for the first `calls` if there are any."""

    def __init__(self, model: nn.Module, room: int, calls: float = float("inf")) -> None:
        super().__init__()
        self.model, self.room, self.calls = model, room, calls

    def forward(self, image: Tensor) -> Tensor:
        if not image.is_meta:
            self.calls -= 1
            if image.shape[2] * image.shape[3] > self.room or self.calls < 0:
                raise torch.OutOfMemoryError("no room")
        return self.model(image)


def blocks(model: nn.Module, heard: list[Blend] | None = None, finished=(), *, size: int = 64, **options):
    image = random_image(200, 170)
    use = blending(model, size=size, on_blended=None if heard is None else heard.append)
    return predict_blocks(
        use, lambda box: image[:, *box.slices], Size(200, 170), grid=32, finished=finished, **options
    )


def together(parts) -> Tensor:
    result = torch.full((2, 200, 170), torch.nan)
    for box, outputs in parts:
        assert result[:, *box.slices].isnan().all()
        result[:, *box.slices] = outputs
    return result


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(3, 2, 9, padding=4)


class TestSmallDevices:
    """Blended tiles of another size are other numbers, so that a device that is too small shows."""

    def test_the_size_that_had_room_is_told(self, model):
        heard: list[Blend] = []
        together(blocks(Cramped(model, 50 * 50), heard))
        assert [blend.tile for blend in heard] == [32]

    def test_what_was_begun_in_smaller_tiles_is_gone_on_with_in_these(self, model):
        every = list(blocks(Cramped(model, 50 * 50)))
        assert torch.equal(together(every), together(blocks(model, size=32)))
        finished = [box for box, _ in every[:5]]
        again = list(blocks(Cramped(model, 50 * 50), finished=finished))
        assert torch.equal(together(every[:5] + again), together(every))

    def test_less_room_in_the_middle_of_an_image_is_an_error(self, model):
        with pytest.raises(UvalaError, match="not enough memory on cpu for a tile of 64x64 pixels"):
            list(blocks(Cramped(model, 200 * 200, calls=5)))


class TestScratch:
    """Sums that memory has no room for lie in a file."""

    @pytest.mark.parametrize("room", [0, 30_000, 10**6])
    def test_changes_no_number(self, model, tmp_path, room):
        found = together(blocks(model, scratch=Scratch(tmp_path, room)))
        assert torch.equal(found, together(blocks(model)))
        assert not list(tmp_path.iterdir())

    def test_is_given_back_when_a_prediction_is_left(self, model, tmp_path):
        parts = blocks(model, scratch=Scratch(tmp_path, 0))
        for _ in range(8):
            next(parts)
        assert open_files_below(tmp_path) == 1
        parts.close()
        assert open_files_below(tmp_path) == 0


def open_files_below(folder: Path) -> int:
    """Files in a folder that this process has open; their names may be gone."""
    links = Path("/proc/self/fd")
    if not links.exists():
        pytest.skip("asks Linux which files are open")
    found = 0
    for link in links.iterdir():
        with suppress(FileNotFoundError):  # what lists them is one of them
            found += link.readlink().is_relative_to(folder)
    return found


class TestCrop:
    """What blending costs is measured on a part of the image."""

    def crop(self, model: nn.Module, image: Tensor, **changes) -> Crop | None:
        crops: list[Crop | None] = []
        use = blending(model, on_blended=lambda blend: crops.append(blend.crop()), **changes)
        predict_probabilities(use, image)
        (crop,) = crops
        return crop

    @pytest.mark.parametrize("size", [(150, 131), (40, 700), (700, 40)], ids=str)
    def test_is_the_difference_from_one_piece_in_no_more_pixels_than_a_tile_reads(self, model, size):
        crop = self.crop(model, random_image(*size))
        assert crop.whole.shape == crop.blended.shape
        assert crop.whole[0].numel() <= 80 * 80
        assert 0 < (crop.whole - crop.blended).abs().max() < 1

    def test_is_none_for_what_looks_at_one_pixel(self):
        crop = self.crop(nn.Conv2d(3, 2, 1), random_image(150, 131))
        torch.testing.assert_close(crop.blended, crop.whole, rtol=0, atol=1e-6)

    def test_is_seen_in_all_views_and_at_the_network_s_multiples(self, pocket_unet):
        crop = self.crop(
            pocket_unet, random_image(151, 133), multiple=4, test_time=TestTimeConfig(flip_horizontal=True)
        )
        assert crop.whole.shape == crop.blended.shape
        assert crop.tile % 4 == 0

    def test_says_nothing_where_the_image_is_of_one_colour(self, model):
        assert self.crop(model, torch.zeros(3, 150, 131)) is None

    def test_says_nothing_where_there_is_no_room_for_it(self, model):
        class OnlySquares(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                if image.shape[3] > 1.5 * image.shape[2]:
                    raise torch.OutOfMemoryError("no room")
                return model(image)

        assert self.crop(OnlySquares(), random_image(144, 144)) is None

    def test_lies_inside_the_image(self, model):
        read: list[Box] = []

        def reader(box: Box) -> Tensor:
            read.append(box)
            return random_image(200, 170)[:, *box.slices]

        heard: list[Blend] = []
        for _ in predict_blocks(blending(model, on_blended=heard.append), reader, Size(200, 170)):
            pass
        read.clear()
        heard[0].crop()
        (box,) = read
        assert 0 <= box.top < box.bottom <= 200
        assert 0 <= box.left < box.right <= 170
