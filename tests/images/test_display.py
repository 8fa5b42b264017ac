"""Pictures: uint8 [H, W, 3], readable whatever the image holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from uvala.arrays import IGNORE
from uvala.errors import ShapeError
from uvala.images.display import ERROR_COLOURS, class_colours, error_map, overlay, paint, to_display

GREY = np.full((1, 16, 16), 200, np.uint8)


class TestDisplay:
    """Any image as 8-bit RGB."""

    def test_bright_8_bit_pictures_stay_as_they_are(self, rgb):
        np.testing.assert_array_equal(to_display(rgb.transpose(2, 0, 1)), rgb)

    def test_dark_8_bit_pictures_are_brightened(self, rng):
        assert to_display(rng.integers(0, 60, (1, 64, 64), dtype=np.uint8)).max() == 255

    def test_faint_noise_is_not_blown_up(self, rng):
        image = rng.integers(3, 6, (1, 64, 64), dtype=np.uint8)
        np.testing.assert_array_equal(to_display(image)[..., 0], image[0])

    @pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
    def test_a_ramp_of_any_depth_runs_from_black_to_white(self, dtype):
        ramp = np.linspace(100, 30000, 1024).reshape(1, 32, 32).astype(dtype)
        picture = to_display(ramp)[..., 0]
        assert (picture[0, 0], picture[-1, -1]) == (0, 255)
        assert (np.diff(picture.ravel().astype(int)) >= 0).all()

    @pytest.mark.parametrize(("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 1, None]), (5, [0, 1, 2])])
    def test_channels_become_colours(self, rng, channels, shown):
        image = rng.integers(0, 256, (channels, 16, 16), dtype=np.uint8)
        picture = to_display(image)
        for colour, channel in enumerate(shown):
            np.testing.assert_array_equal(picture[..., colour], 0 if channel is None else image[channel])

    @given(arrays.arrays("f4", (1, 5, 7), elements=st.floats(width=32)))
    @settings(deadline=None)
    def test_no_float_breaks_it(self, image):
        picture = to_display(image)
        assert (picture.shape, picture.dtype) == ((5, 7, 3), np.uint8)

    def test_nan_is_black(self):
        image = np.linspace(0, 1, 256, dtype=np.float32).reshape(1, 16, 16)
        image[0, 15, 15] = np.nan
        assert to_display(image)[15, 15].tolist() == [0, 0, 0]

    def test_without_a_channel_axis_it_is_refused(self):
        with pytest.raises(ShapeError, match=r"\[16, 16\]"):
            to_display(GREY[0])


class TestColours:
    """One colour per class."""

    @pytest.mark.parametrize("count", [2, 8, 20, 254])
    def test_no_two_classes_share_a_colour(self, count):
        colours = class_colours(count)
        assert colours.shape == (count, 3)
        assert len(np.unique(colours, axis=0)) == count

    def test_a_colour_does_not_depend_on_the_number_of_classes(self):
        np.testing.assert_array_equal(class_colours(30)[:12], class_colours(12))

    def test_background_is_dark_and_all_else_stands_out_from_it(self):
        luminance = class_colours(40) @ (0.2126, 0.7152, 0.0722)
        assert luminance[0] < 40
        assert luminance[1:].min() > 50

    def test_the_caller_may_change_what_it_gets(self):
        class_colours(3)[:] = 0
        assert class_colours(3).max() > 0


class TestOverlay:
    """Classes laid over the image."""

    def test_background_shows_the_image(self):
        picture = overlay(GREY, np.zeros((16, 16), np.uint8), class_colours(2))
        assert (picture == 200).all()

    def test_fill_is_the_weighted_mean_of_image_and_colour(self):
        colours = np.array([[0, 0, 0], [100, 0, 255]], np.uint8)
        picture = overlay(GREY, np.ones((16, 16), np.uint8), colours, alpha=0.5)
        assert picture[8, 8].tolist() == [150, 100, 228]

    def test_objects_that_touch_are_outlined_each(self):
        classes, objects = np.ones((16, 16), np.uint8), np.ones((16, 16), np.int32)
        objects[:, 8:] = 2
        together = overlay(GREY, classes, class_colours(2))
        apart = overlay(GREY, classes, class_colours(2), objects=objects)
        assert (apart != together).any(axis=2).any(axis=0).nonzero()[0].tolist() == [7, 8]

    def test_the_outline_lies_inside_its_region(self):
        classes = np.zeros((16, 16), np.uint8)
        classes[4:12, 4:12] = 1
        plain = overlay(GREY, classes, class_colours(2), outline=False)
        changed = (overlay(GREY, classes, class_colours(2)) != plain).any(axis=-1)
        inside = np.zeros((16, 16), bool)
        inside[4:12, 4:12] = True
        inside[5:11, 5:11] = False
        np.testing.assert_array_equal(changed, inside)

    def test_ignored_pixels_are_hatched(self):
        picture = overlay(GREY, np.full((16, 16), IGNORE, np.uint8), class_colours(2))
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2

    def test_a_class_map_of_another_size_is_refused(self):
        with pytest.raises(ShapeError, match="equal height and width"):
            overlay(GREY, np.zeros((16, 15), np.uint8), class_colours(2))

    def test_paint_gives_each_class_its_colour(self):
        classes = np.array([[0, 1], [2, 2]], np.uint8)
        np.testing.assert_array_equal(paint(classes, class_colours(3)), class_colours(3)[classes])


def test_every_kind_of_error_has_its_colour():
    truth = np.array([[0, 1, 1, 0, 1, IGNORE]], np.uint8)
    prediction = np.array([[0, 1, 0, 1, 2, 1]], np.uint8)
    names = ["right, background", "right", "missed", "spurious", "wrong class", "ignored"]
    assert error_map(prediction, truth)[0].tolist() == [list(ERROR_COLOURS[name]) for name in names]
