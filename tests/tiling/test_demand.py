"""Of a tile, only what the kept part depends on is computed: the numbers are those of the whole tile."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.models.catalog import create_model
from uvala.tiling.demand import Demands, Unforeseen, demand_of, only_needed

SMALL_RESNET = {"encoder": "test_resnet", "decoder_channels": (8, 8, 8, 8, 4)}


class Net(nn.Module):
    """A module with some layers, of which a function makes a network."""

    def __init__(self, function: Callable[["Net", Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 5, padding=2)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def random_tile(side: int, channels: int = 1) -> Tensor:
    return torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(0)).double()


@torch.inference_mode()
def part_and_whole(model: nn.Module, tile: Tensor, kept: Box) -> tuple[Tensor, Tensor]:
    """What is kept of a tile, computed alone and cut out of the result for the whole."""
    model = model.double().eval()
    demand = demand_of(model, tile.shape[1], Size(*tile.shape[2:]), kept)
    result, there = only_needed(model, tile, demand)
    top, left = kept.top - there.top, kept.left - there.left
    part = result[..., top : top + kept.height, left : left + kept.width]
    return part, model(tile)[..., *kept.slices]


def assert_same(model: nn.Module, tile: Tensor, kept: Box) -> None:
    part, whole = part_and_whole(model, tile, kept)
    torch.testing.assert_close(part, whole, rtol=0, atol=1e-12)


KEPT = [Box(96, 96, 160, 160), Box(0, 0, 64, 160), Box(0, 96, 256, 160), Box(192, 160, 256, 256)]


class TestNumbers:
    """Those of the whole tile, wherever in it the part lies."""

    @pytest.mark.parametrize("kept", KEPT, ids=["middle", "corner", "strip", "end"])
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("unet", {"width": 4}),
            ("pytorch_unet", {"width": 4}),
            ("attention_unet", {"width": 4}),
            ("r2unet", {"width": 4}),
            ("segnet", {"width": 4}),
            ("fcn8s_deconv", {"width": 4}),
            ("unet:", SMALL_RESNET),
            ("unetpp:", SMALL_RESNET),
            ("linknet:", {"encoder": "test_resnet"}),
            ("unet:", {**SMALL_RESNET, "interpolation": "bilinear"}),
        ],
        ids=str,
    )
    def test_of_networks(self, name, options, kept):
        torch.manual_seed(0)
        model = create_model(name, in_channels=1, num_classes=2, **options)
        assert_same(model, random_tile(256), kept)

    @pytest.mark.parametrize("seed", range(60))
    def test_of_any_layers(self, seed):
        """Encoders and decoders drawn at random, of layers with all kinds of windows."""
        drawn = torch.Generator().manual_seed(seed)

        def one_of(*choices: Callable[[], nn.Module]) -> nn.Module:
            return choices[int(torch.randint(len(choices), (), generator=drawn))]()

        def number(least: int, most: int) -> int:
            return int(torch.randint(least, most + 1, (), generator=drawn))

        def same() -> nn.Module:
            by = number(1, 3)
            return one_of(
                lambda: nn.Conv2d(4, 4, 3, padding=by, dilation=by),
                lambda: nn.Conv2d(4, 4, (5, 1), padding=(2, 0)),
                lambda: nn.MaxPool2d(3, stride=1, padding=1),
                lambda: nn.AvgPool2d(3, stride=1, padding=1),
                lambda: nn.ReLU(inplace=True),
                lambda: nn.BatchNorm2d(4).eval(),
            )

        def down() -> nn.Module:
            return one_of(
                lambda: nn.MaxPool2d(2, ceil_mode=True),
                lambda: nn.MaxPool2d(3, stride=2, padding=1),
                lambda: nn.AvgPool2d(2),
                lambda: nn.Conv2d(4, 4, 7, stride=2, padding=3),
                lambda: nn.Conv2d(4, 4, 4, stride=2, padding=1),
                lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(16, 4, 1)),
            )

        def up() -> nn.Module:
            return one_of(
                lambda: nn.ConvTranspose2d(4, 4, 2, stride=2),
                lambda: nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1),
                lambda: nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1),
                lambda: nn.Upsample(scale_factor=2),
                lambda: nn.Upsample(scale_factor=2, mode="bilinear"),
                lambda: nn.Sequential(nn.Conv2d(4, 16, 1), nn.PixelShuffle(2)),
            )

        class Drawn(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first = nn.Conv2d(1, 4, 1)
                self.down = nn.ModuleList(nn.Sequential(same(), down(), same(), same()) for _ in range(3))
                self.up = nn.ModuleList(nn.Sequential(same(), up()) for _ in range(3))
                self.joins = [number(0, 2) for _ in range(3)]
                self.narrow = nn.Conv2d(8, 4, 1)

            def forward(self, x: Tensor) -> Tensor:
                x = self.first(x)
                skips = []
                for step in self.down:
                    skips.append(x.clone())
                    x = step(x)
                for step, skip, join in zip(self.up, reversed(skips), self.joins, strict=True):
                    x = step(x)
                    if join == 0:
                        x = self.narrow(torch.cat([skip, x], dim=1))
                    elif join == 1:
                        x += skip
                    else:
                        x = x * torch.sigmoid(skip)
                return x

        torch.manual_seed(seed)
        model = Drawn()
        top, left = 8 * number(0, 20), 8 * number(0, 20)
        kept = Box(top, left, top + number(1, 192 - top), left + number(1, 192 - left))
        assert_same(model, random_tile(192), kept)

    def test_of_calls_that_look_anywhere(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = net.second(net.convolution(x).flip(-1))
            return net.last(x + x.cumsum(dim=2))

        assert_same(Net(function), random_tile(64), Box(16, 16, 32, 32))

    def test_where_numbers_for_each_pixel_are_not_the_networks(self):
        def function(net: Net, x: Tensor) -> Tensor:
            ramp = torch.linspace(0, 1, x.shape[-1], dtype=x.dtype, device=x.device)
            return net.last(net.second(net.convolution(x) * ramp))

        assert_same(Net(function), random_tile(64), Box(16, 16, 32, 32))

    def test_where_a_map_is_altered_in_place_and_used_under_its_old_name(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = net.convolution(x)
            x.add_(net.second(x))
            return net.last(net.second(x))

        assert_same(Net(function), random_tile(64), Box(16, 16, 32, 32))

    def test_where_numbers_are_brought_to_where_a_map_is(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = net.second(net.convolution(x))
            mask = torch.linspace(0, 1, x.shape[2] * x.shape[3]).reshape(1, 1, *x.shape[2:])
            return net.last(net.second(x) * mask.to(x))

        assert_same(Net(function), random_tile(64), Box(17, 17, 32, 32))

    @pytest.mark.parametrize("view", [lambda x: x[:, :4], lambda x: x.view_as(x), lambda x: x.detach()])
    def test_where_memory_that_another_map_shares_is_written_to(self, view):
        def function(net: Net, x: Tensor) -> Tensor:
            y = net.second(net.convolution(x))
            part = view(y)
            part += net.convolution(x)
            return net.last(net.second(y) + part)

        model, kept = Net(function).double().eval(), Box(24, 24, 40, 40)
        assert not demand_of(model, 1, Size(64, 64), kept).pays

    def test_where_a_call_names_its_input(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = F.avg_pool2d(input=net.convolution(x), kernel_size=2)
            x = F.conv_transpose2d(input=x, weight=net.second.weight[..., :2, :2], stride=2)
            return net.last(F.conv2d(input=x, weight=net.second.weight, padding=2))

        assert_same(Net(function), random_tile(64), Box(24, 24, 40, 40))

    @pytest.mark.parametrize(("side", "padding", "more"), [(1, 0, 0), (5, 3, 0), (5, 3, 1), (2, 0, 0)])
    @pytest.mark.parametrize("kept", [Box(16, 16, 31, 31), Box(0, 40, 64, 64)], ids=["middle", "end"])
    def test_where_a_transposed_convolution_ends_early(self, side, padding, more, kept):
        class Early(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.up = nn.ConvTranspose2d(1, 1, side, stride=2, padding=padding, output_padding=more)
                self.look = nn.Conv2d(1, 1, 7, padding=3)

            def forward(self, x: Tensor) -> Tensor:
                below = F.avg_pool2d(F.pad(x, (0, 16, 0, 16)), 2)
                return self.look(self.look(self.up(below)[..., : x.shape[2], : x.shape[3]]))

        assert_same(Early(), random_tile(64), kept)

    def test_where_a_corner_is_used_beside_its_map(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = net.second(net.convolution(F.pad(x, (0, 8, 0, 8), mode="replicate")))
            corner = x[..., : x.shape[2] - 8, : x.shape[3] - 8]
            height, width = x.shape[2:]
            return net.last(corner * 2 + x[..., : height - 8, : width - 8])

        assert_same(Net(function), random_tile(64), Box(16, 16, 32, 32))

    def test_of_a_network_that_writes_to_places_are_all_computed(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = net.convolution(x)
            x[..., 20:30] = 0
            return net.last(net.second(x))

        assert not demand_of(Net(function).eval(), 1, Size(64, 64), Box(16, 16, 32, 32)).pays


class TestWork:
    """So much less is computed."""

    @pytest.mark.parametrize(
        ("name", "halo", "most"),
        [("unet:resnet34", 544, 0.45), ("unetpp:resnet34", 544, 0.3), ("unet", 96, 0.7)],
    )
    def test_is_less_where_a_tile_is_mostly_context(self, name, halo, most):
        model = create_model(name, in_channels=3, num_classes=2).eval()
        side = 512 + 2 * halo
        demand = demand_of(model, 3, Size(side, side), Box(halo, halo, halo + 512, halo + 512))
        assert demand.pays
        assert demand.share < most

    def test_is_all_where_all_is_kept(self):
        model = create_model("unet", in_channels=1, num_classes=2, width=4).eval()
        demand = demand_of(model, 1, Size(128, 128), Box(0, 0, 128, 128))
        assert demand.share == 1
        assert not demand.pays

    def test_is_not_seen_in_the_sizes_that_a_network_asks_for(self):
        asked, there = [], []

        def function(net: Net, x: Tensor) -> Tensor:
            x = net.second(net.convolution(x))
            asked.append((tuple(x.shape), x.size(3), tuple(x.size())))
            there.append(x.untyped_storage().nbytes())
            return net.last(x)

        model = Net(function).eval()
        demand = demand_of(model, 1, Size(64, 64), Box(24, 24, 40, 40))
        with torch.inference_mode():
            only_needed(model, torch.zeros(1, 1, 64, 64), demand)
        on_shapes, on_numbers = asked
        assert on_shapes == on_numbers == ((1, 4, 64, 64), 64, (1, 4, 64, 64))
        assert there[1] < there[0] / 2


class TestUnforeseen:
    """What numbers decide is not known from shapes."""

    def test_another_call_is_noticed(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = net.convolution(x)
            return net.last(x if x.is_meta else F.relu(x))

        model = Net(function).eval()
        demand = demand_of(model, 1, Size(64, 64), Box(24, 24, 40, 40))
        with torch.inference_mode(), pytest.raises(Unforeseen):
            only_needed(model, random_tile(64).float(), demand)

    def test_a_network_that_is_computed_elsewhere_is_computed_whole(self):
        model = create_model("unet", in_channels=1, num_classes=2, width=4).eval()
        tile, kept = torch.zeros(1, 1, 256, 256), Box(96, 96, 160, 160)
        assert Demands().of(model, tile, kept).pays
        vars(model)["in_parts"] = False
        assert not Demands().of(model, tile, kept).pays

    def test_a_network_of_ones_own_is_computed_whole(self):
        model = Net(lambda net, x: net.last(net.second(net.convolution(x)))).eval()
        tile, kept = torch.zeros(1, 1, 64, 64), Box(24, 24, 40, 40)
        assert demand_of(model, 1, Size(64, 64), kept).pays
        assert not Demands().of(model, tile, kept).pays

    def test_the_same_call_with_another_window_is_noticed(self):
        def function(net: Net, x: Tensor) -> Tensor:
            x = net.convolution(x)
            wide = 1 if x.is_meta else 2
            return net.last(F.conv2d(x, net.second.weight, padding=2 * wide, dilation=wide))

        model = Net(function).eval()
        demand = demand_of(model, 1, Size(64, 64), Box(24, 24, 40, 40))
        with torch.inference_mode(), pytest.raises(Unforeseen):
            only_needed(model, torch.zeros(1, 1, 64, 64), demand)

    def test_a_result_of_another_size_is_left_to_others(self):
        model = Net(lambda net, x: net.last(net.convolution(x))[..., 2:-2, 2:-2]).eval()
        assert not demand_of(model, 1, Size(64, 64), Box(24, 24, 40, 40)).pays


def test_what_is_known_of_tiles_is_kept_for_each_place():
    model = create_model("unet", in_channels=1, num_classes=2, width=4).eval()
    demands, tile = Demands(), torch.zeros(1, 1, 256, 256)
    first = demands.of(model, tile, Box(96, 96, 160, 160))
    assert demands.of(model, tile, Box(96, 96, 160, 160)) is first
    assert demands.of(model, tile, Box(0, 96, 160, 160)) is not first
