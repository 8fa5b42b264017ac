"""Whole slides: the finest level, tile by tile."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from uvala.arrays import Box, Size
from uvala.errors import ImageError
from uvala.images import slides
from uvala.images.lazy import PixelFacts, is_image, open_image
from uvala.images.read import image_size, read_image

tiffslide = pytest.importorskip("tiffslide", reason="slides are read by the extra 'slides'")

SAID = "Aperio Image Library v10.0.51\r\n{width}x{height} (64x64) JPEG Q=90|AppMag = 20|MPP = 0.4990"


@pytest.fixture
def glass(rng) -> np.ndarray:
    """uint8 [300, 700, 3]."""
    return rng.integers(0, 256, (300, 700, 3), dtype=np.uint8)


@pytest.fixture
def slide(tmp_path, glass):
    """A slide as Aperio lays it out: tiles of the finest level, a thumbnail, tiles of a coarser level."""
    path = tmp_path / "a.svs"
    said = SAID.format(width=700, height=300)
    options = {"photometric": "rgb", "metadata": None, "compression": "deflate"}
    with tifffile.TiffWriter(path) as file:
        file.write(glass, tile=(64, 64), description=said, **options)
        file.write(glass[::7, ::7], rowsperstrip=16, description=said, subfiletype=0, **options)
        file.write(glass[::4, ::4], tile=(64, 64), description=said, **options)
    return path


def test_boxes_are_those_of_the_finest_level(slide, glass):
    expected = glass.transpose(2, 0, 1)
    with open_image(slide, at_once=0) as image:
        assert (image.channels, image.size, image.dtype) == (3, Size(300, 700), np.uint8)
        for box in (Box(0, 0, 300, 700), Box(13, 500, 200, 650), Box(299, 699, 300, 700)):
            np.testing.assert_array_equal(image.read(box), expected[:, *box.slices])


def test_jpeg_within_it_is_decoded_like_the_whole(tmp_path, glass):
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as file:
        said = SAID.format(width=700, height=300)
        options = {"photometric": "rgb", "metadata": None, "compression": "jpeg", "subsampling": (2, 2)}
        file.write(np.sort(glass, axis=1), tile=(64, 64), description=said, **options)
    expected = read_image(path).array
    with open_image(path, at_once=0) as image:
        for box in (Box(0, 0, 300, 700), Box(13, 500, 200, 650), Box(299, 699, 300, 700)):
            np.testing.assert_array_equal(image.read(box), expected[:, *box.slices])


def test_it_is_read_as_a_whole_too(slide, glass):
    np.testing.assert_array_equal(read_image(slide).array, glass.transpose(2, 0, 1))
    assert image_size(slide) == Size(300, 700)


def test_the_size_of_a_pixel_is_known(slide):
    with open_image(slide) as image:
        assert image.facts == PixelFacts((0.499, 0.499), "um")


def test_threads_may_read_at_once(slide, glass):
    boxes = [Box(top, left, top + 90, left + 90) for top in range(0, 200, 30) for left in range(0, 600, 90)]
    with open_image(slide, at_once=0) as image, ThreadPoolExecutor(6) as pool:
        for box, values in zip(boxes, pool.map(image.read, boxes), strict=True):
            np.testing.assert_array_equal(values, glass.transpose(2, 0, 1)[:, *box.slices])


def test_a_search_finds_it(slide):
    assert is_image(slide)


def test_one_that_is_cut_off_is_refused(slide):
    slide.write_bytes(slide.read_bytes()[:-100_000])
    with pytest.raises(ImageError, match=r"a\.svs"), open_image(slide, at_once=0):
        pass


@pytest.mark.parametrize("content", [b"", b"no slide"], ids=repr)
def test_one_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "a.svs").write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.svs, which is damaged"):
        read_image(tmp_path / "a.svs")


def test_damage_shows_where_a_box_meets_it(slide):
    with tifffile.TiffFile(slide) as file:
        offset, count = file.pages[0].dataoffsets[-1], file.pages[0].databytecounts[-1]
    content = bytearray(slide.read_bytes())
    content[offset : offset + count] = b"\xff" * count
    slide.write_bytes(content)
    with open_image(slide, at_once=0) as image:
        image.read(Box(0, 0, 300, 512))
        with pytest.raises(ImageError, match=r"a\.svs, which is damaged"):
            image.read(Box(0, 0, 300, 700))


class TestWithoutAReader:
    """Where neither package is installed."""

    @pytest.fixture(autouse=True)
    def _nothing_installed(self, monkeypatch):
        monkeypatch.setattr(slides, "find_spec", lambda name: None)

    def test_plain_slides_are_read_as_tiff(self, slide, glass):
        np.testing.assert_array_equal(read_image(slide).array, glass.transpose(2, 0, 1))

    @pytest.mark.parametrize(
        ("name", "words"), [("a.scn", r"pip install 'uvala\[slides\]'"), ("a.mrxs", "openslide-bin")]
    )
    def test_others_say_what_to_install(self, slide, name, words):
        with pytest.raises(ImageError, match=words):
            read_image(slide.rename(slide.with_name(name)))

    def test_a_package_that_cannot_be_loaded_is_named(self, slide, monkeypatch):
        monkeypatch.setattr(slides, "_reader", lambda suffix: "broken")
        monkeypatch.setitem(slides._OPENERS, "broken", lambda path, stack: __import__("no_such_library"))
        with pytest.raises(ImageError, match=r"tiffslide, .*no_such_library.*pip install"):
            read_image(slide)

    def test_a_search_passes_over_them(self, slide):
        assert not is_image(slide)
