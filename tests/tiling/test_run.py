"""A tile never changes what the network says."""

import copy

import pytest
import torch
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.errors import UvalaError
from uvala.models.facts import measure
from uvala.tiling.config import TileConfig
from uvala.tiling.geometry import plan_tiles
from uvala.tiling.run import predict_from_reader, predict_probabilities, probabilities_whole
from uvala.tiling.use import TiledUse

CPU = torch.device("cpu")
SIZES = [(1, 1), (2, 3), (4, 3000), (2000, 5), (128, 128), (129, 400), (333, 517), (256, 301), (600, 601)]


def random_image(size: tuple[int, int]) -> Tensor:
    """[3, H, W]"""
    return torch.randn(3, *size, generator=torch.Generator().manual_seed(0))


def predict(model: nn.Module, image: Tensor, *, halo: int | None = -1, **tiles: int) -> Tensor:
    """In tiles of any image, with the halo that the network needs unless another is given."""
    facts = measure(model, 3)
    use = TiledUse(
        model,
        device=CPU,
        halo=facts.halo if halo == -1 else halo,
        multiple=facts.multiple,
        tiles=TileConfig(**{"whole_below": 0, **tiles}),
    )
    return predict_probabilities(use, image)


def assert_exact_in_double(model: nn.Module, image: Tensor) -> None:
    """In float64: tiles this small fall below PyTorch's 20,480 numbers per layer, where float32 rounds alike
    on some processors and not on others."""
    model, image = copy.deepcopy(model).double(), image.double()
    whole = probabilities_whole(model, image, CPU)
    torch.testing.assert_close(predict(model, image, size=64), whole, rtol=0, atol=1e-7)


class TestExactness:
    """With the context that it needs, a network says the same in tiles: to the last bit."""

    @pytest.mark.parametrize("size", SIZES, ids=str)
    def test_small_tiles_give_the_numbers_of_the_whole_image(self, pocket_unet, size):
        image = random_image(size)
        assert torch.equal(
            predict(pocket_unet, image, size=128), probabilities_whole(pocket_unet, image, CPU)
        )

    @pytest.mark.parametrize("size", [(1300, 1421), (17, 90_000)], ids=str)
    def test_default_tiles_give_the_numbers_of_the_whole_image(self, unet, size):
        image = random_image(size)
        assert torch.equal(predict(unet, image), probabilities_whole(unet, image, CPU))

    @pytest.mark.parametrize("size", [(389, 531), (60, 1000)], ids=str)
    def test_bilinear_upsampling_knows_nothing_of_the_size(self, bilinear_unet, size):
        assert_exact_in_double(bilinear_unet, random_image(size))

    def test_folding_squares_into_channels_leaves_tiles_exact(self, folded_unet):
        assert_exact_in_double(folded_unet, random_image((501, 603)))

    def test_tiles_in_batches_give_the_same_numbers(self, pocket_unet):
        image = random_image((400, 515))
        torch.testing.assert_close(
            predict(pocket_unet, image, size=128, batch=3),
            predict(pocket_unet, image, size=128),
            rtol=0,
            atol=1e-6,
        )

    def test_one_step_less_context_shows(self, pocket_unet):
        image = random_image((400, 400))
        whole = probabilities_whole(pocket_unet, image, CPU)
        assert (predict(pocket_unet, image, size=128, halo=20) - whole).abs().max() > 1e-6

    def test_a_network_without_context_needs_none(self):
        pointwise = nn.Conv2d(3, 3, kernel_size=1)
        image = random_image((100, 77))
        whole = probabilities_whole(pointwise, image, CPU)
        torch.testing.assert_close(predict(pointwise, image, size=32), whole, rtol=0, atol=1e-6)


class TestBlending:
    """Without a finite halo the image in tiles is an approximation, and a smooth one."""

    def test_is_exact_for_what_fits_in_one_piece(self, instance_unet):
        image = random_image((200, 150))
        blended = predict(instance_unet, image, whole_below=200 * 150)
        assert torch.equal(blended, probabilities_whole(instance_unet, image, CPU))

    def test_sums_to_one_over_the_classes(self, instance_unet):
        total = predict(instance_unet, random_image((300, 217)), size=64, overlap=32).sum(dim=0)
        torch.testing.assert_close(total, torch.ones(300, 217))

    def test_leaves_no_seam(self):
        # each tile is one constant, the mean of what it saw: the worst seams there can be
        class Mean(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                return image.mean(dim=(2, 3), keepdim=True).expand_as(image)

        ramp = torch.linspace(-4, 4, 600)[:, None].expand(600, 40)
        image = torch.stack([ramp, -ramp, torch.zeros(600, 40)])
        seamless = predict(Mean(), image, halo=None, size=64, overlap=64)
        abrupt = predict(Mean(), image, halo=None, size=64, overlap=0)
        assert seamless.diff(dim=1).abs().max() < 0.1 * abrupt.diff(dim=1).abs().max()

    @pytest.mark.parametrize("overlap", [0, 1, 16, 63, 200])
    def test_any_overlap_covers_every_pixel(self, instance_unet, overlap):
        result = predict(instance_unet, random_image((150, 131)), size=32, overlap=overlap)
        assert result.isfinite().all()


class TestContract:
    """What comes back, and what stays as it was."""

    def test_probabilities_are_float32_and_sum_to_one(self, pocket_unet):
        result = predict(pocket_unet, random_image((300, 200)), size=64)
        assert (result.shape, result.dtype, result.device) == ((3, 300, 200), torch.float32, CPU)
        torch.testing.assert_close(result.sum(dim=0), torch.ones(300, 200))

    def test_result_is_the_softmax_of_the_logits(self, pocket_unet):
        image = random_image((30, 44))
        with torch.no_grad():
            expected = pocket_unet(image[None])[0].softmax(dim=0)
        torch.testing.assert_close(predict(pocket_unet, image), expected, rtol=0, atol=1e-5)

    def test_result_can_take_part_in_a_loss(self, pocket_unet):
        scale = torch.ones(1, requires_grad=True)
        (predict(pocket_unet, random_image((8, 8))) * scale).sum().backward()
        assert scale.grad is not None

    def test_network_in_training_is_judged_in_eval_mode_and_trains_on(self, pocket_unet):
        expected = predict(pocket_unet, random_image((40, 40)))
        pocket_unet.train()
        frozen = pocket_unet.enter.eval()
        actual = predict(pocket_unet, random_image((40, 40)))
        assert pocket_unet.training
        assert not frozen.training
        assert torch.equal(actual, expected)
        pocket_unet.eval()

    def test_double_precision_networks_predict_too(self):
        model = nn.Conv2d(3, 3, 1).double()
        assert predict(model, random_image((20, 20)).double()).dtype == torch.float32

    def test_grey_images_run_as_fast_formats_too(self):
        model = nn.Conv2d(1, 2, 3, padding=1)
        image = torch.randn(1, 33, 20)
        use = TiledUse(model, device=CPU, halo=1, multiple=1, tiles=TileConfig())
        result = predict_probabilities(use, image)
        torch.testing.assert_close(result, model(image[None])[0].softmax(dim=0).detach())


class TestReader:
    """An image need not be in memory."""

    def test_each_tile_is_read_once_and_no_more_than_it(self, pocket_unet):
        image, read = random_image((300, 260)), []

        def reader(box: Box) -> Tensor:
            read.append(box)
            return image[:, *box.slices]

        tiles = TileConfig(size=64, whole_below=0)
        use = TiledUse(pocket_unet, device=CPU, halo=22, multiple=4, tiles=tiles)
        result = predict_from_reader(use, reader, Size(300, 260))
        one_pixel = Box(0, 0, 1, 1)  # which tells the channels
        assert read == [one_pixel, *(tile.read for tile in plan_tiles(Size(300, 260), 64, 22, 4))]
        assert torch.equal(result, predict(pocket_unet, image, size=64))


class Cramped(nn.Module):
    """A network on a device with room for so many pixels; `sizes` are those it was asked for."""

    def __init__(self, model: nn.Module, room: int) -> None:
        super().__init__()
        self.model, self.room = model, room
        self.multiple = model.multiple

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[0] * image.shape[2] * image.shape[3] > self.room and not image.is_meta:
            raise torch.OutOfMemoryError("no room")
        return self.model(image)


class TestOutOfMemory:
    """A large image on a small device is cut smaller until it fits."""

    def predict_cramped(self, model: nn.Module, room: int, heard: list[TileConfig], **tiles: int) -> Tensor:
        use = TiledUse(
            Cramped(model, room),
            device=CPU,
            halo=22,
            multiple=4,
            tiles=TileConfig(**tiles),
            on_smaller_tiles=heard.append,
        )
        return predict_probabilities(use, random_image((400, 400)))

    def test_result_is_that_of_a_large_device(self, pocket_unet):
        expected = probabilities_whole(pocket_unet, random_image((400, 400)), CPU)
        result = self.predict_cramped(pocket_unet, 200 * 200, [], batch=2)
        torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)

    def test_each_attempt_is_told(self, pocket_unet):
        heard: list[TileConfig] = []
        self.predict_cramped(pocket_unet, 200 * 200, heard, size=256, batch=2)
        assert [(t.whole_below, t.batch, t.size) for t in heard] == [(0, 2, 256), (0, 1, 256), (0, 1, 128)]

    def test_no_room_for_the_smallest_tile_is_one_sentence(self, pocket_unet):
        with pytest.raises(UvalaError, match="not enough memory on cpu for a tile of 32x32 pixels"):
            self.predict_cramped(pocket_unet, 50 * 50, [])
