"""What is measured of a network, against what is known of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uvala.arrays import Size
from uvala.models.catalog import create_model
from uvala.models.facts import measure, multiply_adds, receptive_field

LOCAL = [
    ("pocket_unet", {}),
    ("unet", {"depth": 1}),
    ("unet", {"depth": 2, "up": "bilinear"}),
    ("unet", {"depth": 3}),
    ("unet", {"depth": 3, "up": "bilinear", "activation": "gelu"}),
    ("unet", {"depth": 2, "kernel_size": 5, "convolutions": 1, "residual": True}),
    ("unet", {"depth": 2, "fold": 2}),
    ("unet", {"depth": 4}),
    ("unet", {"depth": 2, "skip": "attention"}),
    ("paper_unet", {"depth": 3, "borders": "mirror"}),
    ("paper_unet", {"depth": 4, "borders": "mirror", "up": "bilinear", "norm": "batch"}),
    ("paper_unet", {"depth": 2, "padding": True}),
]


def make(name: str = "unet", **options):
    torch.manual_seed(0)
    return create_model(name, **{"in_channels": 3, "num_classes": 2, "width": 4, **options}).eval()


def mean_of_all(image: Tensor) -> Tensor:
    return image.mean(dim=(2, 3), keepdim=True)


def largest_of_all(image: Tensor) -> Tensor:
    return image.amax(dim=(-1, -2), keepdim=True)


class Attention(nn.Module):
    """Each pixel of a map asks all others."""

    def forward(self, image: Tensor) -> Tensor:
        rows = image.flatten(2).transpose(1, 2)
        return F.scaled_dot_product_attention(rows, rows, rows).transpose(1, 2).reshape(image.shape)


def spoiled_by_a_cut(model: nn.Module, axis: int) -> int:
    """How many rows or columns next to a cut differ from the whole image, on the worse side."""
    multiple = model.multiple
    shape = [1, 3, 2 * multiple, 2 * multiple]
    shape[axis] = 32 * multiple
    half = shape[axis] // 2
    image = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = model.double()(image)
        differs = torch.cat(
            [model(image.narrow(axis, start, half)) - whole.narrow(axis, start, half) for start in (0, half)],
            axis,
        )
    # 1e-13: rounding of float64; what is really spoiled differs by more
    places = (differs.movedim(axis, 0).flatten(1).abs().amax(dim=1) > 1e-13).nonzero()
    return max(half - int(places[0]), int(places[-1]) + 1 - half)


class TestHalo:
    """The context that a tile needs, no more and no less."""

    @pytest.mark.parametrize(("name", "options"), LOCAL, ids=str)
    @pytest.mark.parametrize("axis", [2, 3], ids=["down", "across"])
    def test_is_what_a_cut_spoils(self, name, options, axis):
        model = make(name, **options)
        halo, multiple = measure(model, 3).halo, model.multiple
        # a tile begins and ends at multiples, so both count in these
        assert -(-spoiled_by_a_cut(model, axis) // multiple) == -(-halo // multiple)

    def test_is_94_for_four_poolings_with_transposed_upsampling(self):
        # 92 leaves a difference of 4.8e-7 in float32 and 94 none, found by cutting Pytorch-UNet into tiles
        assert measure(make(depth=4), 3).halo == 94

    @pytest.mark.parametrize("kernel_size", [1, 3, 7])
    def test_is_half_a_kernel_for_a_single_convolution(self, kernel_size):
        assert measure(nn.Conv2d(3, 2, kernel_size, padding=kernel_size // 2), 3).halo == kernel_size // 2

    def test_is_the_larger_side_of_a_lopsided_network(self):
        assert measure(nn.Conv2d(3, 2, (3, 11), padding=(1, 5)), 3).halo == 5

    def test_counts_a_functional_maximum_as_the_whole_square(self):
        class Maximum(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                return nn.functional.max_pool2d(image, 5, stride=1, padding=2)

        assert measure(Maximum(), 1).halo == 2

    @pytest.mark.parametrize("norm", ["instance", "group"])
    def test_does_not_count_what_a_norm_takes_of_the_whole_image(self, norm):
        with_it, without = measure(make(norm=norm), 3), measure(make(norm="batch"), 3)
        assert with_it.halo == without.halo
        assert with_it.statistics > without.statistics == 0

    @pytest.mark.parametrize("squeeze", [mean_of_all, largest_of_all, nn.AdaptiveAvgPool2d(1)])
    def test_nor_what_anything_else_does(self, squeeze):
        class Gate(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                return image * squeeze(image).sigmoid()

        facts = measure(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), Gate()), 3)
        assert (facts.halo, facts.statistics) == (1, 1)

    def test_reaches_as_far_as_a_stretch_may_in_any_image(self):
        stretch = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True)
        model = nn.Sequential(nn.MaxPool2d(2), stretch)
        model.multiple = 2
        # a row of the image comes from rows i / 2 - 1 to i / 2 + 1 of the pooled map
        assert measure(model, 3).halo == 2

    @pytest.mark.parametrize(
        "whole",
        [nn.AdaptiveAvgPool2d(4), nn.Upsample(size=(32, 32), mode="bilinear"), Attention()],
        ids=["pooling to a size", "stretching to a size", "attention"],
    )
    def test_is_none_where_every_pixel_depends_on_every_other(self, whole):
        assert measure(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), whole), 3).halo is None

    @pytest.mark.parametrize(
        "whole",
        [
            lambda x: x * x.max(),
            lambda x: x * x.flatten(2).amax(-1)[:, :, None, None],
            lambda x: x * x.flatten(2).max(dim=-1).values[:, :, None, None],
            lambda x: x * x.amax(dim=3, keepdim=True),
            lambda x: x - x.min(),
            lambda x: x * x.flatten(2).median(-1).values[:, :, None, None],
            lambda x: x * x.flatten(2).topk(3).values.mean(-1)[:, :, None, None],
            lambda x: x / torch.quantile(x, 0.99),
        ],
        ids=["largest", "of each channel", "the same", "of a row", "smallest", "median", "three", "quantile"],
    )
    def test_is_none_where_a_pixel_is_picked_out_of_the_whole_map(self, whole):
        class Whole(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                return whole(image)

        assert measure(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), Whole()), 3).halo is None

    @pytest.mark.parametrize(
        "local",
        [
            lambda x: x * x.amax(dim=1, keepdim=True),
            lambda x: x * x.max(dim=1, keepdim=True).values,
            lambda x: torch.max(x, x * 2),
            lambda x: x.unflatten(1, (2, 1)).amax(dim=2),
            lambda x: x * x.mean(dim=(2, 3)).amax(dim=1)[:, None, None, None],
        ],
        ids=["largest channel", "the same", "of two", "of a group", "of a squeeze"],
    )
    def test_does_not_mind_what_is_picked_within_a_pixel(self, local):
        class Local(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                return local(image)

        assert measure(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), Local()), 3).halo == 1

    @pytest.mark.parametrize(
        "pooling",
        [{"return_indices": True}, {"dilation": 2, "padding": 1}, {"dilation": (2, 2), "padding": 1}],
        ids=str,
    )
    def test_is_none_for_pooling_that_no_mean_stands_for(self, pooling):
        class Pooled(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                found = F.max_pool2d(image, 3, 1, **{"padding": 1, **pooling})
                largest = found[0] if isinstance(found, tuple) else found
                return F.pad(largest, (1, 1, 1, 1)) if largest.shape != image.shape else largest

        assert measure(Pooled(), 1).halo is None

    def test_is_none_where_a_skip_is_cut_out_at_a_place_that_the_size_decides(self):
        assert measure(make("paper_unet", depth=3, padding=True), 3).halo is None

    def test_is_none_for_a_network_that_says_so(self):
        model = nn.Conv2d(3, 2, 3, padding=1)
        model.local = False
        assert measure(model, 3).halo is None

    def test_is_what_a_network_declares(self):
        model = nn.Conv2d(3, 2, 3, padding=1)
        model.context = 7
        assert measure(model, 3).halo == 7

    def test_does_not_depend_on_the_weights(self):
        model = make("pocket_unet")
        for parameter in model.parameters():
            nn.init.zeros_(parameter)
        assert measure(model, 3).halo == 22


class TestTwin:
    """Experiments are made on a narrow network of the same recipe, which sees as far."""

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("pytorch_unet", {}),
            ("attention_unet", {}),
            ("fcn8s_deconv", {}),
            ("fcn32s_caffe", {"width": 5, "fc_width": 9}),
        ],
    )
    def test_sees_as_far_as_the_wide_network(self, name, options):
        model = make(name, **{"width": 8, **options})
        by_twin = measure(model, 3), receptive_field(model, 3)
        del model.recipe
        assert (measure(model, 3), receptive_field(model, 3)) == by_twin

    def test_is_as_narrow_for_a_width_per_stage(self):
        wide = make_staged((32, 64, 128))
        assert measure(wide, 3).halo == measure(make_staged((4, 4, 4)), 3).halo

    def test_is_not_asked_where_somebody_changed_a_layer(self):
        model = make("pocket_unet", width=8)
        before = measure(model, 3).halo
        model.head = nn.Conv2d(8, 2, kernel_size=9, padding=4)
        assert measure(model, 3).halo == before + 4


def make_staged(widths: tuple[int, ...]) -> nn.Module:
    return create_model("plain_conv_unet", in_channels=3, num_classes=2, widths=widths, norm="batch").eval()


class TestMeasure:
    """Looking at a network changes nothing."""

    def test_leaves_weights_mode_and_random_numbers_alone(self):
        model = make("pocket_unet").train()
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        state = torch.get_rng_state()
        measure(model, 3)
        assert model.training
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


class TestMultiplyAdds:
    """Counted as in the textbook."""

    def test_of_a_convolution_are_outputs_times_inputs(self):
        convolution = nn.Conv2d(3, 8, 3, padding=1)
        assert multiply_adds(convolution, 3, Size(10, 20)) == 10 * 20 * 8 * 3 * 9

    def test_of_a_transposed_convolution_are_inputs_times_outputs(self):
        convolution = nn.ConvTranspose2d(4, 6, 2, stride=2)
        assert multiply_adds(convolution, 4, Size(5, 7)) == 5 * 7 * 4 * 6 * 4

    def test_of_the_usual_unet_are_the_192_thousand_million_of_the_literature(self):
        model = make(width=64, max_width=1024)
        assert measure(model, 3).multiply_adds_512 == pytest.approx(384e9 / 2, rel=0.01)


class TestReceptiveField:
    """What one pixel of the logits sees."""

    def test_of_convolutions_is_the_sum_of_their_reaches(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 5, padding=2))
        assert receptive_field(model, 3) == 7

    def test_of_one_pooling_by_hand(self):
        # from the output down: 3 pixels lie in 2 squares; 3x3 below makes 4 squares, 8 pixels; 3x3 adds 2
        class Level(nn.Module):
            multiple = 2

            def __init__(self):
                super().__init__()
                self.enter = nn.Conv2d(3, 4, 3, padding=1)
                self.below = nn.Conv2d(4, 4, 3, padding=1)
                self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
                self.out = nn.Conv2d(4, 2, 3, padding=1)

            def forward(self, image):
                return self.out(self.up(self.below(nn.functional.max_pool2d(self.enter(image), 2))))

        assert receptive_field(Level(), 3) == 10

    def test_norms_do_not_count(self):
        assert receptive_field(make(norm="instance", depth=1), 3) == receptive_field(make(depth=1), 3)

    def test_global_pooling_sees_the_image(self):
        class Gate(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                return image * image.mean(dim=(2, 3), keepdim=True).sigmoid()

        assert receptive_field(Gate(), 3) is None
