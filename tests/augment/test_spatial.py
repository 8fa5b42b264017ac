"""Image, mask and maps move together, and to where the formulas say."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch.testing import assert_close

from changes import drawn, everything, only
from uvala.arrays import IGNORE
from uvala.augment.config import AugmentConfig
from uvala.augment.spatial import coordinates, interpolates, moved, warp, window_margin

PATCH, MARGIN = 16, 4
SIDE = PATCH + 2 * MARGIN
WILD = everything(elastic=2.0, shear=0.2)


def window(batch: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random masks, images that equal them, and maps that are twice as much."""
    masks = torch.randint(0, 5, (batch, SIDE, SIDE), generator=torch.manual_seed(0), dtype=torch.uint8)
    return masks.float().unsqueeze(1), masks, 2 * masks.float().unsqueeze(1)


def places(batch: int = 2, side: int = SIDE) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images and masks that hold the column of each pixel, and maps that hold its row."""
    place = torch.arange(side).expand(batch, side, side)
    column, row = place, place.transpose(1, 2)
    return column.float().unsqueeze(1), column.to(torch.uint8), row.float().unsqueeze(1)


def centred(patch: int = PATCH) -> tuple[torch.Tensor, torch.Tensor]:
    """x and y of each pixel of a patch from its centre: [P, P] each."""
    place = torch.arange(patch) - (patch - 1) / 2
    y, x = torch.meshgrid(place, place, indexing="ij")
    return x, y


def read(config: AugmentConfig, patch: int = PATCH, side: int = SIDE, **numbers) -> torch.Tensor:
    """Where the first sample is read, from the window's centre: [2, P, P]."""
    return coordinates(drawn(config, batch=1, patch=patch, **numbers), patch, side)[0] - (side - 1) / 2


class TestCopies:
    """Without free rotation, scale, shear or bending, a patch holds the very numbers of its window."""

    def test_without_any_change_the_patch_is_the_middle_of_its_window(self):
        for before, after in zip(window(), moved(*window(), drawn(only()), PATCH), strict=True):
            assert torch.equal(after, before[..., MARGIN:-MARGIN, MARGIN:-MARGIN])

    @pytest.mark.parametrize(("setting", "axis"), [("flip_horizontal", -1), ("flip_vertical", -2)])
    def test_a_flip_mirrors(self, setting, axis):
        draws = drawn(only(**{setting: True}), amounts=0.0)
        for before, after in zip(window(), moved(*window(), draws, PATCH), strict=True):
            assert torch.equal(after, before[..., MARGIN:-MARGIN, MARGIN:-MARGIN].flip(axis))

    @pytest.mark.parametrize("quarters", range(4))
    def test_a_quarter_turn_turns(self, quarters):
        draws = drawn(only(quarter_turns=True), amounts=(quarters + 0.5) / 4)
        for before, after in zip(window(), moved(*window(), draws, PATCH), strict=True):
            assert torch.equal(after, before[..., MARGIN:-MARGIN, MARGIN:-MARGIN].rot90(quarters, (-2, -1)))

    def test_each_of_the_eight_is_as_frequent(self):
        config = only(flip_horizontal=True, flip_vertical=True, quarter_turns=True)
        same = [part[:1].expand(800, *part.shape[1:]) for part in window()]
        _, masks, _ = moved(*same, drawn(config, batch=800), PATCH)
        _, counts = masks.flatten(1).unique(dim=0, return_counts=True)
        assert len(counts) == 8
        assert counts.min() > 70  # of 100; three standard deviations are 28

    def test_reading_between_pixels_goes_the_same_way(self):
        ways = {"flip_horizontal": True, "flip_vertical": True, "quarter_turns": True}
        copied = moved(*window(32), drawn(only(**ways), batch=32), PATCH)
        tilted = moved(*window(32), drawn(only(**ways, rotation=1e-6), batch=32), PATCH)
        assert torch.equal(copied[1], tilted[1])
        assert_close(copied[0], tilted[0], atol=1e-4, rtol=0)

    @pytest.mark.parametrize(
        "nothing", [{"rotation": 0}, {"scale": (1.0, 1.0)}, {"shear": 0}, {"elastic": 0}], ids=str
    )
    def test_strengths_of_nothing_are_copies(self, nothing):
        assert not interpolates(only(**nothing), PATCH)


class TestFormulas:
    def test_a_rotation_by_90_degrees_is_exact(self):
        images, masks, maps = window()
        _, mask, _ = moved(images, masks, maps, drawn(only(rotation=90), amounts=1.0), PATCH)
        assert torch.equal(mask, masks[:, MARGIN:-MARGIN, MARGIN:-MARGIN].rot90(1, (-2, -1)))

    @pytest.mark.parametrize("degrees", [10.0, 30.0, 135.0])
    def test_rotation(self, degrees):
        x, y = centred()
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        expected = torch.stack([cos * x - sin * y, sin * x + cos * y])
        assert_close(read(only(rotation=degrees), amounts=1.0), expected, atol=1e-5, rtol=0)

    @pytest.mark.parametrize("zoom", [0.5, 2.0])
    def test_a_magnified_patch_reads_from_as_much_less(self, zoom):
        expected = torch.stack(centred()) / zoom
        assert_close(read(only(scale=(zoom, zoom))), expected, atol=1e-5, rtol=0)

    def test_shear_shifts_rows_against_each_other(self):
        x, y = centred()
        assert_close(read(only(shear=0.3), amounts=1.0), torch.stack([x + 0.3 * y, y]), atol=1e-5, rtol=0)

    def test_magnification_is_even_in_the_logarithm(self):
        read_at = coordinates(drawn(only(scale=(0.5, 2.0)), batch=2000), PATCH, SIDE)
        zoom = (PATCH - 1) / (read_at[:, 0, 0, -1] - read_at[:, 0, 0, 0])
        assert zoom.log2().mean().abs() < 0.04
        assert 0.5 <= zoom.min() < 0.52
        assert 1.95 < zoom.max() <= 2.0

    @pytest.mark.parametrize("angle", [0.0, 25.0])
    def test_linear_images_are_read_without_error(self, angle):
        """An image of its own coordinates becomes the coordinates: interpolation is linear."""
        images, masks, maps = places(side=40)
        draws = drawn(only(rotation=angle, scale=(1.3, 1.3), shear=0.1), amounts=1.0)
        image, _, bent = moved(images, masks, maps, draws, PATCH)
        expected = coordinates(draws, PATCH, 40)
        assert_close(torch.cat([image, bent], dim=1), expected, atol=2e-5, rtol=0)


class TestElastic:
    def test_the_points_of_the_grid_move_by_what_was_drawn(self):
        config = only(elastic=10.0, elastic_points=3)
        draws = drawn(config, batch=3, patch=33)
        moves = coordinates(draws, 33, 33) - coordinates(drawn(only(), batch=3, patch=33), 33, 33)
        assert_close(moves[:, :, ::16, ::16], 10 * draws.displacements.float(), atol=2e-5, rtol=0)

    def test_between_the_points_the_interpolation_is_bicubic(self):
        """Keys (1981) with a = -0.75: halfway between two points, weights -3/32, 19/32, 19/32, -3/32."""
        draws = drawn(only(elastic=1.0, elastic_points=7), batch=1, patch=25)
        moves = coordinates(draws, 25, 25) - coordinates(drawn(only(), batch=1, patch=25), 25, 25)
        weights = torch.tensor([-3, 19, 19, -3]) / 32
        expected = (draws.displacements[0, :, 3, 1:5].float() * weights).sum(dim=1)
        assert_close(moves[0, :, 12, 10], expected, atol=1e-5, rtol=0)

    def test_the_standard_deviation_is_in_pixels(self):
        draws = drawn(only(elastic=10.0, elastic_points=3), batch=1000, patch=9)
        moves = coordinates(draws, 9, 9)[:, :, ::4, ::4]
        assert moves.std(dim=0).mean() == pytest.approx(10, rel=0.02)

    @pytest.mark.parametrize(("patch", "points"), [(256, 5), (64, 2), (16, 2), (512, 9)])
    def test_points_are_spaced_by_pixels(self, patch, points):
        config = only(elastic=8.0, elastic_spacing=64)
        assert drawn(config, patch=patch).displacements.shape == (2, 2, points, points)

    def test_patches_that_are_not_bent_stay_as_they_are(self):
        config = only(elastic=8.0, elastic_probability=0.5)
        draws = drawn(config, batch=20)
        straight = coordinates(drawn(only(), batch=20), PATCH, SIDE)
        same = (coordinates(draws, PATCH, SIDE) == straight).flatten(1).all(dim=1)
        assert torch.equal(same, ~draws.happens("elastic"))
        assert same.unique().tolist() == [False, True]


class TestTogether:
    """What lies on top of each other before does so afterwards."""

    @pytest.mark.parametrize("setting", ["rotation", "scale", "shear", "elastic"])
    def test_an_image_that_equals_its_mask_still_does(self, setting):
        """Where both hold the column, they differ by the rounding to the nearest pixel and no more."""
        strength = {"rotation": 180.0, "scale": (0.7, 1.4), "shear": 0.5, "elastic": 4.0}[setting]
        image, mask, _ = moved(*places(8, 64), drawn(only(**{setting: strength}), batch=8), PATCH)
        assert (mask.float() - image[:, 0]).abs().max() < 0.5 + 1e-4
        assert mask.unique().numel() > 10

    def test_maps_go_where_the_image_goes(self):
        images, masks, _ = window(6)
        image, _, bent = moved(images, masks, images * 3, drawn(WILD, batch=6), PATCH)
        assert_close(bent, image * 3, atol=1e-5, rtol=0)

    def test_images_without_maps_have_none_afterwards(self):
        images, masks, maps = window()
        assert moved(images, masks, maps[:, :0], drawn(WILD), PATCH)[2].shape == (2, 0, PATCH, PATCH)
        assert moved(images, masks, maps[:, :0], drawn(only()), PATCH)[2].shape == (2, 0, PATCH, PATCH)


class TestMasks:
    @settings(max_examples=60, deadline=None)
    @given(
        labels=st.lists(st.integers(0, IGNORE), min_size=1, max_size=5),
        seed=st.integers(0, 2**31),
        scale=st.tuples(st.floats(0.2, 1.0), st.floats(1.0, 4.0)),
        elastic=st.floats(0, 20),
        margin=st.integers(0, 6),
    )
    def test_no_label_is_invented(self, labels, seed, scale, elastic, margin):
        side = PATCH + 2 * margin
        random = torch.Generator().manual_seed(seed)
        kinds = torch.tensor(labels, dtype=torch.uint8)
        masks = kinds[torch.randint(len(labels), (2, side, side), generator=random)]
        draws = drawn(everything(scale=scale, elastic=elastic), batch=2)
        _, mask, _ = moved(masks.float().unsqueeze(1), masks, torch.empty(2, 0, side, side), draws, PATCH)
        assert set(mask.unique().tolist()) <= {*labels, IGNORE}

    def test_outside_the_window_the_image_is_mirrored_and_the_mask_ignored(self):
        images, masks, maps = places(1)
        shifted = coordinates(drawn(only(), batch=1), PATCH, SIDE) + torch.tensor([PATCH, 0.0]).view(
            1, 2, 1, 1
        )
        image, mask, _ = warp(images, masks, maps, shifted)
        outside = shifted[:, 0] > SIDE - 1
        assert torch.equal(mask == IGNORE, outside)
        assert_close(image[:, 0][outside], (2 * SIDE - 1 - shifted[:, 0])[outside], atol=1e-4, rtol=0)

    def test_all_within_the_window_is_known(self):
        _, mask, _ = moved(*window(), drawn(only(rotation=1e-6)), SIDE)
        assert (mask != IGNORE).all()

    def test_ignored_stays_ignored(self):
        images, masks, maps = window()
        masks.fill_(IGNORE)
        assert (moved(images, masks, maps, drawn(WILD), PATCH)[1] == IGNORE).all()


class TestMargin:
    def test_copies_need_none(self):
        assert window_margin(only(flip_horizontal=True, quarter_turns=True), 256) == 0

    @pytest.mark.parametrize(
        "config",
        [
            only(rotation=180.0),
            only(scale=(0.8, 1.2)),
            only(shear=0.3),
            only(rotation=180.0, scale=(0.9, 1.0)),
        ],
        ids=["rotated", "shrunk", "sheared", "rotated and shrunk"],
    )
    def test_it_covers_what_is_read(self, config):
        side = 32 + 2 * window_margin(config, 32)
        found = coordinates(drawn(config, batch=200, patch=32), 32, side)
        assert found.min() >= -0.5
        assert found.max() <= side - 0.5

    def test_a_patch_reads_at_most_half_its_side_beyond_itself(self):
        assert window_margin(only(rotation=180.0, scale=(0.1, 1.0)), 64) == 32
