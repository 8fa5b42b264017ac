"""What a network does with the whole image, it does in tiles too."""

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.models.blocks import InstanceNorm
from uvala.models.facts import measure
from uvala.tiling.config import TileConfig
from uvala.tiling.run import predict_blocks, predict_probabilities, probabilities_whole
from uvala.tiling.use import TiledUse
from uvala.tiling.whole import Moments, NotLocal, survey

CPU = torch.device("cpu")
SIZES = [(33, 400), (128, 128), (257, 190), (301, 333)]


class Squeeze(nn.Module):
    """Weighs each channel by a number of the whole map."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        match self.kind:
            case "mean":
                number = x.mean(dim=(2, 3), keepdim=True)
            case "maximum":
                number = x.amax(dim=(-2, -1))[:, :, None, None]
            case "pooled mean":
                number = F.adaptive_avg_pool2d(x, 1)
            case "pooled maximum":
                number = F.adaptive_max_pool2d(x, (1, 1))
        return x * (1 + number)


class Halves(nn.Module):
    """Pools, and stretches back to the size that it got: of an odd map, by no whole number."""

    multiple = 2

    def __init__(self, *, corners: bool) -> None:
        super().__init__()
        self.corners = corners

    def forward(self, x: Tensor) -> Tensor:
        below = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
        return F.interpolate(below, size=x.shape[-2:], mode="bilinear", align_corners=self.corners)


def network(*middle: nn.Module) -> nn.Module:
    """[1, 3, H, W] -> [1, 2, H, W], float64, with these between two convolutions."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), *middle, nn.Conv2d(4, 2, 3, padding=1))
    return model.double().eval()


def random_image(size: tuple[int, int]) -> Tensor:
    """[3, H, W], brighter towards the right, so that no part has the numbers of the whole."""
    noise = torch.randn(3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return noise + torch.linspace(-2, 2, size[1], dtype=torch.float64)


def tiled(model: nn.Module, image: Tensor, *, multiple: int = 1, **tiles: int) -> Tensor:
    """In tiles of 64 with the context that the network needs."""
    model.multiple = multiple
    use = TiledUse(
        model,
        device=CPU,
        halo=measure(model, 3).halo,
        multiple=multiple,
        tiles=TileConfig(**{"size": 64, "whole_below": 0, **tiles}),
    )
    return predict_probabilities(use, image)


def assert_same_in_tiles(model: nn.Module, size: tuple[int, int], **options: int) -> None:
    image = random_image(size)
    whole = probabilities_whole(model, image, CPU)
    assert whole.std() > 0.05
    torch.testing.assert_close(tiled(model, image, **options), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", SIZES, ids=str)
class TestStatistics:
    """A number of the whole map is gathered from all tiles before any of them is predicted."""

    @pytest.mark.parametrize("kind", ["mean", "maximum", "pooled mean", "pooled maximum"])
    def test_squeezes(self, kind, size):
        assert_same_in_tiles(network(Squeeze(kind)), size)

    @pytest.mark.parametrize(
        "norm",
        [
            InstanceNorm(4),
            nn.InstanceNorm2d(4, affine=True),
            nn.GroupNorm(2, 4),
            nn.GroupNorm(1, 4, affine=False),
        ],
        ids=["ours", "torch's", "groups", "all channels"],
    )
    def test_norms(self, norm, size):
        assert_same_in_tiles(network(norm), size)

    def test_one_after_the_other(self, size):
        middle = (nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 3, padding=1), Squeeze("mean"), InstanceNorm(4))
        assert_same_in_tiles(network(*middle), size)

    def test_at_half_the_resolution(self, size):
        middle = (nn.MaxPool2d(2, ceil_mode=True), InstanceNorm(4), nn.Upsample(scale_factor=2.0))
        even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        assert_same_in_tiles(network(*middle), even, multiple=2)


@pytest.mark.parametrize("size", SIZES, ids=str)
class TestStretches:
    """An interpolation knows where in the whole map it is."""

    def test_corners_onto_corners(self, size):
        even = (size[0] + size[0] % 2, size[1] + size[1] % 2)
        stretch = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True)
        assert_same_in_tiles(network(nn.MaxPool2d(2), stretch), even, multiple=2)

    @pytest.mark.parametrize("corners", [True, False])
    def test_to_the_size_of_an_odd_map(self, size, corners):
        assert_same_in_tiles(network(Halves(corners=corners)), size, multiple=2)


class TestLimits:
    """Where exactness would cost too much, or cannot be had."""

    def test_more_statistics_than_allowed_are_blended(self):
        model, image = network(InstanceNorm(4), Squeeze("mean")), random_image((200, 210))
        whole = probabilities_whole(model, image, CPU)
        assert (tiled(model, image, statistics=1) - whole).abs().max() > 1e-4
        torch.testing.assert_close(tiled(model, image, statistics=2), whole, rtol=0, atol=1e-6)

    def test_attention_over_the_map_is_refused(self):
        class Attention(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                rows = x.flatten(2).transpose(1, 2)
                return F.scaled_dot_product_attention(rows, rows, rows).transpose(1, 2).reshape(x.shape)

        with pytest.raises(NotLocal):
            survey(network(Attention()), 3, Size(64, 64), 1)

    def test_a_network_of_neighbourhoods_needs_nothing(self):
        assert not survey(network(nn.BatchNorm2d(4)), 3, Size(64, 64), 1).needed

    def test_what_is_not_bilinear_is_blended(self):
        class Nearest(Halves):
            def forward(self, x: Tensor) -> Tensor:
                return F.interpolate(F.avg_pool2d(x, 2), size=x.shape[-2:], mode="nearest")

        model = network(Nearest(corners=False))
        model.multiple = 2
        assert measure(model, 3).halo is None

    def test_what_depends_on_the_size_is_blended(self):
        class Sometimes(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x if x.shape[2] % 2 else x - x.mean(dim=(2, 3), keepdim=True)

        result = tiled(network(Sometimes()), random_image((201, 64)))
        assert result.isfinite().all()

    def test_a_norm_with_statistics_of_its_own_needs_nothing(self):
        norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
        assert not survey(network(norm), 3, Size(64, 64), 1).needed
        assert_same_in_tiles(network(norm), (150, 170))

    def test_numbers_of_several_channels_together_are_blended(self):
        class Largest(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x / x.abs().amax(dim=(1, 2, 3), keepdim=True)

        assert measure(network(Largest()), 3).halo is None


class TestSmallDevices:
    """An image that was to run in one piece, and does not fit."""

    def test_statistics_are_gathered_then_too(self):
        class Cramped(nn.Module):
            multiple = 1

            def __init__(self, model: nn.Module) -> None:
                super().__init__()
                self.model = model

            def forward(self, x: Tensor) -> Tensor:
                if x.shape[2] * x.shape[3] > 100 * 100 and not x.is_meta:
                    raise torch.OutOfMemoryError("no room")
                return self.model(x)

        model, image = network(InstanceNorm(4)), random_image((200, 180))
        whole = probabilities_whole(model, image, CPU)
        use = TiledUse(Cramped(model), device=CPU, halo=2, multiple=1, tiles=TileConfig())
        found = predict_probabilities(use, image)
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-6)


class TestBlocks:
    """Box by box, on the grid of a file."""

    @pytest.mark.parametrize("norm", [InstanceNorm(4), nn.BatchNorm2d(4)], ids=["told", "local"])
    def test_boxes_are_cut_on_the_grid_and_have_the_numbers_of_the_whole(self, norm):
        model, image = network(norm), random_image((200, 150))
        whole = probabilities_whole(model, image, CPU)
        for box, outputs in blocks(model, image):
            assert box.top % 48 == box.left % 48 == 0
            torch.testing.assert_close(outputs, whole[:, *box.slices], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("halo", [2, None], ids=["exact", "blended"])
    def test_what_came_before_an_interruption_need_not_come_again(self, halo):
        model, image = network(nn.BatchNorm2d(4)), random_image((200, 150))
        every = list(blocks(model, image, halo=halo))
        for number in range(len(every) + 1):
            before, after = every[:number], every[number:]
            came = list(blocks(model, image, halo=halo, finished=[box for box, _ in before]))
            assert [box for box, _ in came] == [box for box, _ in after]
            for (_, found), (_, expected) in zip(came, after, strict=True):
                assert torch.equal(found, expected)

    @pytest.mark.parametrize("size", [32, 70, 130])
    def test_what_earlier_tiles_of_another_size_covered_does_not_come_again(self, size):
        model, image = network(nn.BatchNorm2d(4)), random_image((200, 150))
        every = dict(blocks(model, image))
        before = [box for number, box in enumerate(every) if number % 3 == 0]
        rest = list(blocks(model, image, finished=before, size=size))
        covered = painted([*before, *(box for box, _ in rest)])
        assert (covered == 1).all()
        whole = probabilities_whole(model, image, CPU)
        for box, outputs in rest:
            torch.testing.assert_close(outputs, whole[:, *box.slices], rtol=0, atol=1e-6)

    def test_tiles_smaller_than_a_block_are_put_together(self):
        model, image = network(nn.BatchNorm2d(4)), random_image((200, 150))
        whole = probabilities_whole(model, image, CPU)
        found = list(blocks(model, image, size=32))
        assert {(box.height, box.width) for box, _ in found} == {(48, 48), (48, 6), (8, 48), (8, 6)}
        for box, outputs in found:
            torch.testing.assert_close(outputs, whole[:, *box.slices], rtol=0, atol=1e-6)

    def test_nothing_is_computed_where_all_is_finished(self):
        def read(box: Box) -> Tensor:
            raise AssertionError("nothing need be read")

        tiles, everything = TileConfig(size=40, whole_below=0), Box(0, 0, 200, 150)
        use = TiledUse(network(), device=CPU, halo=2, multiple=1, tiles=tiles)
        assert not list(predict_blocks(use, read, Size(200, 150), grid=48, finished=[everything]))

    @pytest.mark.parametrize("grid", [1, 48])
    def test_after_smaller_tiles_nothing_comes_twice(self, grid):
        model, image, heard = CrampedLater(network(nn.BatchNorm2d(4))), random_image((200, 150)), []
        found = list(blocks(model, image, size=96, grid=grid, on_smaller_tiles=heard.append))
        assert [each.size for each in heard] == [48]
        assert (painted([box for box, _ in found]) == 1).all()
        whole = probabilities_whole(model.model, image, CPU)
        for box, outputs in found:
            torch.testing.assert_close(outputs, whole[:, *box.slices], rtol=0, atol=1e-6)

    def test_outputs_are_the_receiver_s_own(self):
        for _, outputs in blocks(network(nn.BatchNorm2d(4)), torch.zeros(3, 200, 150).double()):
            assert not outputs.is_inference()
            outputs.zero_()


class CrampedLater(nn.Module):
    """A network on a device that has no more room for large tiles once it has seen three of them."""

    multiple = 1

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.large = model, 0

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_meta and x.shape[2] * x.shape[3] > 70 * 70:
            self.large += 1
            if self.large > 3:
                raise torch.OutOfMemoryError("no room")
        return self.model(x)


def painted(boxes: list[Box]) -> Tensor:
    """How many of the boxes cover each pixel of an image of 200 x 150."""
    picture = torch.zeros(200, 150)
    for box in boxes:
        picture[box.slices] += 1
    return picture


def blocks(model: nn.Module, image: Tensor, *, size=40, grid=48, finished: Sequence[Box] = (), **changes):
    tiles = TileConfig(size=size, whole_below=0, overlap=16)
    use = TiledUse(model, **{"device": CPU, "halo": 2, "multiple": 1, "tiles": tiles, **changes})
    shape = Size(*image.shape[-2:])
    return predict_blocks(use, lambda box: image[:, *box.slices], shape, grid=grid, finished=finished)


class TestMoments:
    """Parts of a map, each seen once, have the moments of the map."""

    def test_of_parts_are_those_of_the_whole(self):
        whole = torch.randn(1, 3, 20, 30, generator=torch.Generator().manual_seed(0)) * 5 + 100
        moments = Moments()
        for part in (whole[..., :7], whole[..., 7:8], whole[..., 8:]):
            moments.add(part)
        values = whole[0].flatten(1).double()
        assert moments.pixels == 600
        torch.testing.assert_close(moments.mean, values.mean(dim=1))
        torch.testing.assert_close(moments.squares / 600, values.var(dim=1, correction=0))
        torch.testing.assert_close(moments.maximum, values.amax(dim=1))
