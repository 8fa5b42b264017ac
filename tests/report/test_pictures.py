"""Pictures that show what matters, in as few bytes as that takes."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from uvala.report.content import Example, ShownCase
from uvala.report.pictures import case_pictures, css, overlay_picture, palette

NAMES = ("background", "cell")


def pixels(picture):
    """The embedded picture as uint8 [H, W, 3]."""
    content = base64.b64decode(picture.uri.partition("base64,")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def wrong_at(size, top, left, side=60):
    """A case that is wrong in one square only."""
    truth = np.zeros(size, np.uint8)
    truth[top : top + side, left : left + side] = 1
    return ShownCase("a.png", np.full((1, *size), 90, np.uint8), truth, np.zeros_like(truth), 0.5)


def shown(case):
    return case_pictures(case, NAMES, palette(NAMES))


class TestCasePictures:
    def test_small_images_are_shown_whole(self):
        pictures = shown(wrong_at((120, 200), 10, 10))
        assert [panel.size for _, panel in pictures.panels] == [(120, 200)] * 4
        assert pictures.where == ()

    @pytest.mark.parametrize(("top", "left"), [(0, 0), (1940, 2940), (1000, 1500), (1937, 3)])
    def test_of_large_images_the_part_with_the_errors_is_shown(self, top, left):
        case = wrong_at((2000, 3000), top, left)
        errors = pixels(shown(case).panels[3][1])
        right = pixels(shown(wrong_at((120, 200), 0, 0, side=0)).panels[3][1])[0, 0]
        assert errors.shape == (512, 512, 3)
        assert (errors != right).any(axis=2).sum() == 60 * 60

    def test_of_large_images_a_small_one_shows_where_the_part_lies(self):
        whole, errors = shown(wrong_at((2000, 3000), 900, 900)).where
        assert max(whole.size) <= 220
        assert whole.size == errors.size

    def test_long_thin_images_are_cut_to_a_part(self):
        pictures = shown(wrong_at((80, 4000), 5, 3800, side=40))
        assert [panel.size for _, panel in pictures.panels] == [(80, 512)] * 4
        assert pictures.shape == "strip"

    def test_without_errors_the_part_with_most_objects_is_shown(self):
        wrong = wrong_at((2000, 2000), 1500, 200)
        pictures = shown(ShownCase("a", wrong.image, wrong.truth, wrong.truth, 1.0))
        assert pictures.part.endswith("where most objects are")
        truth = pixels(pictures.panels[1][1]).astype(int)
        assert np.abs(truth - truth[0, 0]).max() > 20

    def test_ignored_pixels_are_no_errors(self):
        case = wrong_at((1000, 1000), 700, 700)
        truth = case.truth.copy()
        truth[:300, :300] = 255
        prediction = np.zeros_like(truth)
        prediction[:300, :300] = 1
        pictures = shown(ShownCase("a", case.image, truth, prediction, 0.5))
        keys = {key.name: key.colour for key in pictures.errors}
        missed = (pixels(pictures.panels[3][1]) == _rgb(keys["missed"])).all(axis=2)
        assert missed.sum() == 60 * 60

    def test_the_legend_holds_the_classes_that_are_there(self):
        names = [f"class {number}" for number in range(5)]
        truth = np.full((20, 20), 3, np.uint8)
        case = ShownCase("a", np.zeros((1, 20, 20), np.uint8), truth, np.zeros_like(truth), 0.0)
        keys = case_pictures(case, names, palette(names)).classes
        assert [key.name for key in keys] == ["class 0", "class 3"]

    @pytest.mark.parametrize("channels", [1, 2, 3, 7])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_any_kind_of_image_is_shown(self, channels, dtype):
        image = np.random.default_rng(0).integers(0, 200, (channels, 30, 40)).astype(dtype)
        truth = np.zeros((30, 40), np.uint8)
        assert len(shown(ShownCase("a", image, truth, truth, None)).panels) == 4

    def test_one_pixel_is_enough(self):
        one = np.zeros((1, 1), np.uint8)
        assert shown(ShownCase("a", one[None], one, one, None)).panels[0][1].size == (1, 1)


class TestOverlayPicture:
    def test_large_images_are_made_small(self):
        truth = np.zeros((3000, 2000), np.uint8)
        picture = overlay_picture(Example("a", truth[None], truth), palette(NAMES))
        assert max(picture.size) <= 384

    def test_pixels_that_are_drawn_large_are_called_tiny(self):
        truth = np.zeros((30, 30), np.uint8)
        assert overlay_picture(Example("a", truth[None], truth), palette(NAMES)).tiny


def test_colours_are_written_as_css():
    assert css((0, 128, 255)) == "#0080ff"


def _rgb(colour):
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
