"""The U-Net as published: what it crops, and what mirrored borders change about it."""

import numpy as np
import pytest
import torch
from torch import nn

import goldens
from uvala.errors import ShapeError
from uvala.models.catalog import create_model
from uvala.models.facts import measure

SMALL = [
    {"depth": 1},
    {"depth": 2, "norm": "batch"},
    {"depth": 3},
    {"depth": 4},
    {"depth": 5, "width": 2},
]


def make(**options) -> nn.Module:
    torch.manual_seed(0)
    model = create_model("paper_unet", **{"in_channels": 2, "num_classes": 3, "width": 3, **options})
    return model.eval().double()


def random_image(height: int, width: int) -> torch.Tensor:
    return torch.randn(1, 2, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class TestSizes:
    """How large the logits are."""

    def test_are_those_of_the_origin(self, shared):
        with torch.device("meta"):
            model = create_model("paper_unet", in_channels=1, num_classes=2)
        for case in goldens.read("paper_unet_valid_1_2")["shape_only_cases"]:
            logits = model(torch.empty(case["input"], device="meta"))
            assert list(logits.shape) == case["output"]
            assert model.output_size(*case["input"][2:]) == tuple(case["output"][2:])

    @pytest.mark.parametrize("options", SMALL, ids=str)
    def test_are_told_beforehand(self, options):
        model = make(**options)
        for size in range(model.smallest, model.smallest + 2 * model.multiple + 1):
            assert model(random_image(size, model.smallest)).shape[2:] == model.output_size(
                size, model.smallest
            )

    def test_92_pixels_are_cropped_on_each_side_as_in_the_paper(self):
        model = make()
        assert model.crops == 92
        assert model.output_size(572, 572) == (388, 388)

    @pytest.mark.parametrize("options", SMALL, ids=str)
    def test_smallest_image_is_the_smallest_that_gives_a_pixel(self, options):
        model = make(**options)
        assert min(model.output_size(model.smallest, model.smallest)) > 0
        assert model.output_size(model.smallest - 1, model.smallest) == (
            0,
            model.output_size(10**4, model.smallest)[1],
        )

    def test_smaller_image_is_refused_with_the_smallest(self):
        with pytest.raises(ShapeError, match=r"187x300 pixels.*at least 188x188.*borders='mirror'"):
            make()(random_image(187, 300))

    @pytest.mark.parametrize("size", [(1, 1), (1, 70), (16, 16), (33, 17), (48, 203)], ids=str)
    def test_are_the_image_s_with_mirrored_borders(self, size):
        model = make(borders="mirror")
        assert model(random_image(*size)).shape == (1, 3, *size)
        assert model.output_size(*size) == size
        assert model.crops == 0

    @pytest.mark.parametrize("size", [(1, 1), (15, 16), (17, 31), (48, 79)], ids=str)
    def test_are_the_image_s_with_padding(self, size):
        model = make(padding=True)
        assert model(random_image(*size)).shape == (1, 3, *size)
        assert model.output_size(*size) == size
        assert model.crops == 0


def both(**options) -> tuple[nn.Module, nn.Module]:
    """The same weights with cropped and with mirrored borders."""
    valid, mirrored = make(**options), make(**options, borders="mirror")
    mirrored.load_state_dict(valid.state_dict())
    return valid, mirrored


def exact(model: nn.Module, count: int) -> int:
    """The `count`-th size from which no row is dropped."""
    return next(
        size for size in range(model.smallest, 1000) if (size + 4) % model.multiple == 0
    ) + model.multiple * (count - 1)


class TestMirroredBorders:
    """The overlap-tile strategy of the paper."""

    @pytest.mark.parametrize("options", SMALL, ids=str)
    def test_inner_numbers_are_those_of_the_valid_network(self, options):
        valid, mirrored = both(**options)
        height, width, crops = exact(valid, 1), exact(valid, 4), valid.crops
        image = random_image(height, width)
        inner = mirrored(image)[..., crops : height - crops, crops : width - crops]
        torch.testing.assert_close(inner, valid(image), rtol=0, atol=1e-12)

    def test_interpolation_changes_only_the_outermost_of_them(self):
        # at the border of a map there is nothing to interpolate with; that reaches 1, 3, 7 pixels inwards
        valid, mirrored = both(depth=3, up="bilinear")
        size, crops = exact(valid, 6), valid.crops
        image, outermost = random_image(size, size), valid.multiple - 1
        inner = slice(crops + outermost, size - crops - outermost)
        kept = slice(outermost, -outermost)
        torch.testing.assert_close(
            mirrored(image)[..., inner, inner], valid(image)[..., kept, kept], rtol=0, atol=1e-12
        )

    @pytest.mark.parametrize("size", [(16, 16), (32, 208), (21, 33)], ids=str)
    def test_numbers_are_those_of_the_valid_network_for_a_mirrored_image(self, size):
        valid, mirrored = both()
        image = random_image(*size)
        # numpy mirrors as often as it takes; 96 is the next multiple above 92
        frame = [(96, 92 + -extent % 16) for extent in size]
        extended = torch.from_numpy(np.pad(image.numpy(), [(0, 0), (0, 0), *frame], mode="reflect"))
        expected = valid(extended)[..., 4 : 4 + size[0], 4 : 4 + size[1]]
        torch.testing.assert_close(mirrored(image), expected, rtol=0, atol=1e-12)

    def test_a_single_pixel_is_mirrored_to_a_plane(self):
        valid, mirrored = both()
        image = random_image(1, 1)
        expected = valid(image.expand(1, 2, 188, 188))[..., :1, :1]
        torch.testing.assert_close(mirrored(image), expected, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("options", [*SMALL, {"depth": 3, "up": "bilinear"}], ids=str)
    @pytest.mark.parametrize("size", [97, 112], ids=str)
    def test_a_tile_with_enough_context_gives_the_numbers_of_the_whole_image(self, options, size):
        model = make(**options, borders="mirror")
        halo, multiple = measure(model, 2).halo, model.multiple
        context = -(-halo // multiple) * multiple
        image = random_image(multiple, 2 * context + size)
        start, stop = context, context + 2 * multiple
        tile = model(image[..., start - context : stop + context])[..., context : context + stop - start]
        torch.testing.assert_close(tile, model(image)[..., start:stop], rtol=0, atol=1e-12)
        last = model(image[..., 2 * multiple :])[..., context:]  # up to the border of the image
        torch.testing.assert_close(last, model(image)[..., 2 * multiple + context :], rtol=0, atol=1e-12)

    def test_weights_are_the_same(self):
        assert make().state_dict().keys() == make(borders="mirror").state_dict().keys()


def test_norm_stands_after_the_relu():
    kinds = [type(layer).__name__ for layer in make(norm="batch").encoders[0]]
    assert kinds == ["Conv2d", "ReLU", "BatchNorm2d"] * 2


@pytest.mark.parametrize(("depth", "exact"), [(2, True), (3, False)])
def test_padded_skips_of_several_levels_lie_where_the_size_of_the_image_says(depth, exact):
    model, image = make(depth=depth, padding=True), random_image(31, 47)
    assert model.local is exact
    tile, whole = model(image[..., :32])[..., :12], model(image)[..., :12]
    assert torch.allclose(tile, whole, rtol=0, atol=1e-12) is exact


def test_padded_logits_repeat_their_last_row_where_a_pooling_drops_one():
    logits = make(depth=3, padding=True)(random_image(18, 16))
    assert torch.equal(logits[..., 16:, :], logits[..., 15:16, :].expand(1, 3, 2, 16))
