"""Mirrored and turned views, averaged."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from uvala.arrays import Box, Size
from uvala.tiling.config import TileConfig
from uvala.tiling.run import predict_from_reader, predict_probabilities
from uvala.tiling.test_time_config import TestTimeConfig
from uvala.tiling.tta import View, views_of
from uvala.tiling.use import TiledUse

CPU = torch.device("cpu")
NONE = TestTimeConfig()
FLIPS = TestTimeConfig(flip_vertical=True, flip_horizontal=True)
TURNS = TestTimeConfig(quarter_turns=True)
ALL = TestTimeConfig(flip_vertical=True, flip_horizontal=True, quarter_turns=True)
VIEWS = views_of(ALL)


def plain(logits: Tensor) -> Tensor:
    """Instead of a softmax: logits whose mean has a closed form."""
    return logits


def predict(model: nn.Module, image: Tensor, test_time=ALL, *, outputs=1, halo=0, multiple=1, **options):
    tiles = TileConfig(**{"whole_below": 0, "size": 32, **options.pop("tiles", {})})
    use = TiledUse(
        model,
        device=CPU,
        halo=halo,
        multiple=multiple,
        tiles=tiles,
        test_time=test_time,
        **{"activate": plain, **options},
    )
    return predict_probabilities(use, image)


def integers(*size: int) -> Tensor:
    """Whole numbers as float64: sums of them are exact, in whatever order."""
    return torch.randint(-8, 9, size, generator=torch.Generator().manual_seed(0)).double()


class TestViews:
    @pytest.mark.parametrize(
        ("config", "number"),
        [
            (None, 1),
            (NONE, 1),
            (TestTimeConfig(flip_vertical=True), 2),
            (TestTimeConfig(flip_horizontal=True), 2),
            (FLIPS, 4),
            (TURNS, 4),
            (TestTimeConfig(flip_vertical=True, quarter_turns=True), 8),
            (ALL, 8),
        ],
    )
    def test_are_as_many_as_different_images(self, config, number):
        image = integers(5, 5)
        seen = {view.of(image).numpy().tobytes() for view in views_of(config)}
        assert len(seen) == len(views_of(config)) == number
        assert views_of(config)[0] == View()

    def test_of_turns_are_those_that_numpy_turns(self):
        image = integers(4, 7)
        expected = {np.rot90(image.numpy(), turns).copy().tobytes() for turns in range(4)}
        assert {view.of(image).contiguous().numpy().tobytes() for view in views_of(TURNS)} == expected

    @pytest.mark.parametrize("view", VIEWS, ids=repr)
    def test_there_and_back_is_where_one_was(self, view):
        image = integers(2, 4, 7)
        assert torch.equal(view.back(view.of(image)), image)
        assert view.of(image).shape[-2:] == view.size(Size(4, 7))

    @given(st.sampled_from(VIEWS), st.integers(1, 9), st.integers(1, 9), st.data())
    def test_a_box_of_the_image_lies_in_the_view_where_its_pixels_are(self, view, height, width, data):
        image = torch.arange(height * width).view(height, width)
        top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
        box = Box(top, left, bottom, right)
        found = view.of(image)[view.within(box, Size(height, width)).slices]
        assert torch.equal(found, view.of(image[box.slices]))


class Rows(nn.Module):
    """Says of each pixel in which row of what it was shown it lies."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.arange(image.shape[2]).double()[:, None].expand(len(image), 1, *image.shape[2:])


class Down(nn.Module):
    """The difference to the pixel above: a flip turns its sign, a turn makes it the one to the left."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.diff(image, dim=2, prepend=image[:, :, :1])


class TestClosedForms:
    def test_what_depends_on_the_row_becomes_the_middle_row_under_flips(self):
        # row r from above is row H - 1 - r from below
        found = predict(Rows(), torch.zeros(1, 10, 6), FLIPS, tiles={"whole_below": 60})
        assert torch.equal(found, torch.full((1, 10, 6), 4.5))

    def test_under_turns_the_middle_of_both_sides(self):
        found = predict(Rows(), torch.zeros(1, 10, 6), TURNS, tiles={"whole_below": 60})
        # rows and columns, each from both ends: (9 + 5) / 4
        assert torch.equal(found, torch.full((1, 10, 6), 3.5))

    def test_of_a_pixel_that_compares_itself_with_its_neighbours(self):
        image = integers(1, 9, 7)
        x = image[0]
        around = np.pad(x.numpy(), 1, mode="edge")
        four = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        found = predict(Down(), image, halo=1)
        np.testing.assert_array_equal(found[0].numpy(), x.numpy() - four / 4)

    def test_views_are_averaged_after_the_activation(self):
        # one row has a probability of 1 from above and 1/2 from below
        class Top(nn.Module):
            def forward(self, image: Tensor) -> Tensor:
                return 1e6 * (Rows()(image) == 0)

        found = predict(Top(), torch.zeros(1, 4, 3), FLIPS, activate=torch.sigmoid, tiles={"whole_below": 12})
        expected = torch.tensor([0.75, 0.5, 0.5, 0.75])[:, None].expand(4, 3)
        assert torch.equal(found[0], expected)


class Symmetric(nn.Module):
    """Convolution, pooling by `multiple` and back: alike under all eight, and exact with whole numbers."""

    def __init__(self, multiple: int = 4) -> None:
        super().__init__()
        self.multiple = multiple

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        pad = (0, -width % self.multiple, 0, -height % self.multiple)
        x = nn.functional.pad(image, pad, mode="replicate")
        kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=image.dtype)
        x = nn.functional.conv2d(x, kernel.expand(1, 1, 3, 3), padding=1)
        pooled = nn.functional.max_pool2d(x, self.multiple)
        pooled = nn.functional.conv2d(pooled, kernel.expand(1, 1, 3, 3), padding=1)
        x = x + nn.functional.interpolate(pooled, scale_factor=self.multiple, mode="nearest")
        return x[..., :height, :width]


HALO = 12  # of Symmetric(4): one square on each side, and one pixel more; rounded up


class TestExactness:
    """Tiles change no number, whatever the size, and views change none where the network is symmetric."""

    @pytest.mark.parametrize("size", [(64, 64), (63, 97), (1, 1), (5, 130), (70, 33)], ids=str)
    @pytest.mark.parametrize("test_time", [FLIPS, TURNS, ALL], ids=["flips", "turns", "all"])
    def test_a_symmetric_network_says_what_it_says_of_one_view(self, size, test_time):
        image = integers(1, *size)
        expected = predict(Symmetric(), image, NONE, halo=HALO, multiple=4)
        assert torch.equal(predict(Symmetric(), image, test_time, halo=HALO, multiple=4), expected)

    @pytest.mark.parametrize("size", [(64, 64), (63, 97), (5, 130), (41, 80)], ids=str)
    def test_tiles_give_the_numbers_of_the_whole_image(self, size):
        torch.manual_seed(0)
        # whole numbers again, but no symmetry
        model = nn.Sequential(Symmetric(), nn.Conv2d(1, 3, 3, padding=1)).double()
        model[1].weight.data.copy_(integers(3, 1, 3, 3))
        model[1].bias.data.zero_()
        image = integers(1, *size)
        options = {"outputs": 3, "halo": 16, "multiple": 4}
        whole = predict(model, image, tiles={"whole_below": 10**6}, **options)
        assert torch.equal(predict(model, image, **options), whole)

    def test_tiles_of_a_u_net_give_the_numbers_of_the_whole_image(self, pocket_unet):
        model, image = copy.deepcopy(pocket_unet).double(), integers(3, 110, 61) / 4
        mirrored = TestTimeConfig(flip_vertical=True)  # two views: convolutions in float64 are slow
        options = {"outputs": 3, "halo": 22, "multiple": 4, "activate": lambda logits: logits.softmax(-1)}
        whole = predict(model, image, mirrored, tiles={"whole_below": 10**6}, **options)
        torch.testing.assert_close(predict(model, image, mirrored, **options), whole, rtol=0, atol=1e-7)

    def test_views_of_a_u_net_are_predicted_as_images_of_their_own(self, pocket_unet):
        image = torch.randn(3, 44, 60, generator=torch.Generator().manual_seed(0))
        options = {"outputs": 3, "halo": 22, "multiple": 4, "activate": lambda logits: logits.softmax(-1)}
        each = [view.back(predict(pocket_unet, view.of(image), NONE, **options)) for view in VIEWS]
        found = predict(pocket_unet, image, **options)
        torch.testing.assert_close(found, torch.stack(each).mean(dim=0), rtol=0, atol=1e-6)

    def test_blended_tiles_of_each_view_weigh_one_together(self):
        image = integers(1, 100, 73)
        found = predict(nn.Identity(), image, halo=None, tiles={"overlap": 16})
        torch.testing.assert_close(found, image.float(), rtol=0, atol=1e-5)


class Ragged(Symmetric):
    """As a network that takes any size and pools what is left at the end: its tiles begin at multiples all
    the same, and in a mirrored view these lie elsewhere."""

    padded_to = 1

    def forward(self, image: Tensor) -> Tensor:
        pooled = nn.functional.max_pool2d(image, self.multiple, ceil_mode=True)
        up = nn.functional.interpolate(pooled, scale_factor=self.multiple, mode="nearest")
        return image + up[..., : image.shape[2], : image.shape[3]]


@pytest.mark.parametrize("size", [(63, 97), (130, 41), (66, 66)], ids=str)
@pytest.mark.parametrize("test_time", [FLIPS, TURNS, ALL], ids=["flips", "turns", "all"])
def test_tiles_begin_at_the_multiples_of_each_view(size, test_time):
    image = integers(1, *size)
    whole = predict(Ragged(), image, test_time, multiple=4, tiles={"whole_below": 10**6})
    assert torch.equal(predict(Ragged(), image, test_time, multiple=4), whole)


class Shapes(nn.Module):
    """Remembers the sizes that it was shown; `attributes` are what networks say of the sizes they take."""

    def __init__(self, **attributes: int) -> None:
        super().__init__()
        self.shown: set[tuple[int, int]] = set()
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, image: Tensor) -> Tensor:
        self.shown.add((image.shape[2], image.shape[3]))
        return image


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [({}, (64, 96)), ({"padded_to": 1}, (63, 70)), ({"padded_to": 8}, (64, 72)), ({"slack": 1}, (63, 96))],
    ids=repr,
)
def test_an_image_is_extended_as_the_network_would_extend_it(attributes, shown):
    model = Shapes(**attributes)
    predict(model, integers(1, 63, 70), FLIPS, multiple=32, tiles={"whole_below": 10**6})
    assert model.shown == {shown}


class TestReading:
    def test_no_more_is_read_at_a_time_than_a_tile(self):
        image, largest = integers(1, 130, 90), 0

        def read(box: Box) -> Tensor:
            nonlocal largest
            largest = max(largest, box.height * box.width)
            assert 0 <= box.top < box.bottom <= 130
            assert 0 <= box.left < box.right <= 90
            return image[:, *box.slices]

        tiles = TileConfig(size=32, whole_below=0)
        use = TiledUse(
            Symmetric(), device=CPU, halo=HALO, multiple=4, tiles=tiles, activate=plain, test_time=ALL
        )
        found = predict_from_reader(use, read, Size(130, 90))
        assert largest <= (32 + 2 * HALO) ** 2
        assert torch.equal(found, predict(Symmetric(), image, NONE, halo=HALO, multiple=4))

    def test_a_device_that_is_too_small_begins_again_with_smaller_tiles(self):
        class Cramped(Symmetric):
            def forward(self, image: Tensor) -> Tensor:
                # only the turned views do not fit, when others have been added already
                large = image.shape[-2] * image.shape[-1] > 60 * 80 and not image.is_meta
                if large and image.shape[-2] > image.shape[-1]:
                    raise torch.OutOfMemoryError("no room")
                return super().forward(image)

        image, heard = integers(1, 60, 100), []
        options = {"halo": HALO, "multiple": 4, "tiles": {"whole_below": 10**6}}
        found = predict(Cramped(), image, on_smaller_tiles=heard.append, **options)
        assert len(heard) == 1
        assert torch.equal(found, predict(Symmetric(), image, NONE, **options))
