"""What each change of intensity does to the numbers, by formulas and by scipy."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.testing import assert_close

from changes import drawn, everything, generators, only
from uvala.augment.draws import draw
from uvala.augment.intensity import bend, change_intensity, coarsen, smooth

INTENSITIES = (
    "contrast", "gain", "brightness", "colour", "gamma",
    "blur", "sharpen", "low_resolution", "noise", "cutout",
)  # fmt: skip


def images(channels: int = 3, batch: int = 4) -> torch.Tensor:
    """Random images of 24x20 pixels, double so that formulas hold to many digits."""
    random = torch.Generator().manual_seed(1)
    return torch.rand(batch, channels, 24, 20, generator=random, dtype=torch.float64) * 2 - 1


def changed(channels: int = 3, **settings) -> torch.Tensor:
    """`images` after these changes, of samples 0 to 3."""
    return change_intensity(images(channels), drawn(only(**settings), batch=4, channels=channels))


class TestEachChange:
    def test_nothing_happens_at_probability_zero(self):
        assert torch.equal(changed(), images())

    @pytest.mark.parametrize("change", INTENSITIES)
    def test_at_probability_one_every_image_changes_by_itself(self, change):
        config = only(**{f"{change}_probability": 1.0})
        same = images()[:1].repeat(4, 1, 1, 1)
        found = change_intensity(same.clone(), drawn(config, batch=4, channels=3))
        assert (found != same).flatten(1).any(dim=1).all()
        assert not torch.equal(found[0], found[1])

    @pytest.mark.parametrize(
        "change", [name for name in INTENSITIES if name not in ("brightness", "gain", "colour", "noise")]
    )
    def test_a_constant_image_stays_constant(self, change):
        constant = torch.full((2, 1, 16, 16), 0.3, dtype=torch.float64)
        found = change_intensity(constant.clone(), drawn(only(**{f"{change}_probability": 1.0})))
        assert_close(found, constant)

    @pytest.mark.parametrize("change", INTENSITIES)
    def test_the_share_of_patches_is_the_probability(self, change):
        draws = draw(only(**{f"{change}_probability": 0.3}), 16, 1, generators(*range(1000)))
        assert draws.happens(change).double().mean() == pytest.approx(0.3, abs=0.045)  # three sigma

    def test_one_pixel_images_pass(self):
        found = change_intensity(torch.zeros(2, 1, 1, 1), drawn(everything()))
        assert torch.isfinite(found).all()

    @pytest.mark.parametrize("level", [0.0, 1e-30, 1e4])
    def test_extreme_values_stay_finite(self, level):
        found = change_intensity(images().float() * level, drawn(everything(), batch=4, channels=3))
        assert torch.isfinite(found).all()


class TestLevels:
    def test_contrast_stretches_about_the_mean_of_each_channel(self):
        mean = images().mean(dim=(2, 3), keepdim=True)
        assert_close(changed(contrast=(1.5, 1.5)), mean + 1.5 * (images() - mean))

    def test_gain_multiplies(self):
        assert_close(changed(gain=(0.8, 0.8)), 0.8 * images())

    def test_brightness_adds_one_number_to_a_patch(self):
        offsets = (changed(brightness=0.2) - images()).flatten(1)
        drawn_offsets = drawn(only(), batch=4, channels=3).offsets[:, :1]
        assert_close(offsets, 0.2 * drawn_offsets.expand_as(offsets))

    def test_colour_adds_one_number_to_a_channel(self):
        offsets = (changed(colour=0.1) - images()).flatten(2)
        drawn_offsets = drawn(only(), batch=4, channels=3).offsets[:, 1:, None]
        assert_close(offsets, 0.1 * drawn_offsets.expand_as(offsets))

    def test_a_single_channel_has_no_colour(self):
        assert torch.equal(changed(channels=1, colour=0.1), images(1))

    def test_brightness_has_the_standard_deviation_that_was_set(self):
        offsets = draw(only(), 16, 1, generators(*range(2000))).offsets
        assert offsets.std() == pytest.approx(1.0, rel=0.03)


class TestGamma:
    def test_it_is_the_power_of_what_lies_between_dark_and_bright(self):
        image = images()[0]
        found = image.clone()
        bend(found, 1.4, inverted=False)
        for channel, bent in zip(image.numpy(), found.numpy(), strict=True):
            power = ((channel - channel.min()) / np.ptp(channel)) ** 1.4
            expected = (power - power.mean()) / power.std() * channel.std() + channel.mean()
            np.testing.assert_allclose(bent, expected, atol=1e-12)

    def test_inverted_it_bends_the_negative(self):
        one, other = images()[0], -images()[0]
        bend(one, 0.7, inverted=True)
        bend(other, 0.7, inverted=False)
        assert_close(one, -other)

    def test_mean_and_spread_stay(self):
        found = changed(gamma=(0.5, 2.0))
        assert_close(found.mean(dim=(2, 3)), images().mean(dim=(2, 3)))
        assert_close(found.std(dim=(2, 3)), images().std(dim=(2, 3)))

    def test_a_gamma_of_one_changes_nothing(self):
        assert_close(changed(gamma=(1.0, 1.0)), images())

    def test_the_order_of_grey_levels_stays(self):
        found = changed(channels=1, gamma=(0.3, 3.0))
        assert torch.equal(found.flatten(1).argsort(), images(1).flatten(1).argsort())


class TestSharpness:
    @pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
    def test_blur_is_that_of_scipy(self, sigma):
        image = images()[0]
        radius = int(np.ceil(3 * sigma))
        expected = [
            ndimage.gaussian_filter(each, sigma, mode="mirror", radius=radius) for each in image.numpy()
        ]
        np.testing.assert_allclose(smooth(image, sigma).numpy(), np.stack(expected), atol=1e-12)

    def test_sharpening_adds_what_a_blur_takes_away(self):
        draws = drawn(only(sharpen=0.7), batch=4, channels=3, amounts=1.0)
        expected = torch.stack([image + 0.7 * (image - smooth(image, 1.0)) for image in images()])
        assert_close(change_intensity(images(), draws), expected)

    def test_low_resolution_leaves_slopes_and_takes_grain(self):
        slope = torch.arange(24, dtype=torch.float64).expand(1, 24, 24)
        grain = images(1)[0]
        coarse_slope, coarse_grain = slope.clone(), grain.clone()
        coarsen(coarse_slope, 0.5)
        coarsen(coarse_grain, 0.5)
        assert_close(coarse_slope[..., 4:-4], slope[..., 4:-4])
        assert coarse_grain.std() < 0.7 * grain.std()

    def test_all_of_the_resolution_changes_nothing(self):
        assert_close(changed(low_resolution=(1.0, 1.0)), images())


class TestNoise:
    def test_its_standard_deviation_is_even_up_to_the_largest(self):
        flat = torch.zeros(200, 1, 40, 40)
        found = change_intensity(flat, drawn(only(noise=0.5), batch=200)).std(dim=(1, 2, 3))
        assert found.max() < 0.53
        assert found.mean() == pytest.approx(0.25, abs=0.035)

    def test_it_has_no_mean(self):
        found = change_intensity(torch.zeros(100, 1, 40, 40), drawn(only(noise=0.5), batch=100))
        assert abs(found.mean()) < 0.003


class TestCutout:
    def test_what_is_hidden_has_the_mean_of_its_channel(self):
        found, before = changed(cutout=0.5), images()
        mean = before.mean(dim=(2, 3), keepdim=True)
        assert torch.equal(torch.where(found == before, before, mean), found)
        assert (found != before).flatten(1).any(dim=1).all()

    def test_holes_are_rectangles_of_at_most_the_largest_side(self):
        for image in changed(cutout=0.25, cutout_holes=1) != images():
            rows, columns = image[0].any(dim=1).nonzero(), image[0].any(dim=0).nonzero()
            assert len(rows) <= 0.25 * 24 + 1
            assert len(columns) <= 0.25 * 20 + 1
            assert image[0].sum() == len(rows) * len(columns)
