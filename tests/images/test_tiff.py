"""TIFF: which axes are channels, which are pages, and what else the format can hold."""

import numpy as np
import PIL.Image
import pytest
import tifffile

from uvala.arrays import Box, Size
from uvala.errors import ImageError
from uvala.images.lazy import open_image
from uvala.images.read import Source, count_pages, image_size, read_image, read_mask


def written(tmp_path, array, **options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, **options)
    return path


class TestAxes:
    """Either order of the axes gives [C, H, W]."""

    @pytest.mark.parametrize(
        ("shape", "options", "order"),
        [
            ((20, 30, 5), {}, (2, 0, 1)),
            ((20, 30, 5), {"metadata": None}, (2, 0, 1)),
            ((20, 30, 5), {"planarconfig": "contig", "photometric": "minisblack"}, (2, 0, 1)),
            ((5, 20, 30), {}, (0, 1, 2)),
            ((5, 20, 30), {"planarconfig": "separate", "photometric": "minisblack"}, (0, 1, 2)),
            ((5, 20, 30), {"imagej": True}, (0, 1, 2)),
            ((5, 20, 30), {"metadata": {"axes": "CYX"}}, (0, 1, 2)),
            ((40, 20, 30), {"metadata": {"axes": "CYX"}}, (0, 1, 2)),  # hyperspectral, and says so
            ((4, 20, 30), {"planarconfig": "separate", "photometric": "rgb"}, (0, 1, 2)),
        ],
        ids=str,
    )
    def test_channels_come_first(self, tmp_path, rng, shape, options, order):
        array = rng.integers(0, 60000, shape, dtype=np.uint16)
        path = written(tmp_path, array, **options)
        np.testing.assert_array_equal(read_image(path).array, array.transpose(order))
        assert image_size(path) == Size(20, 30)

    def test_pages_without_names_are_read_together_and_said(self, tmp_path, rng):
        path = written(tmp_path, rng.random((5, 20, 30), dtype=np.float32))
        assert read_image(path).notes == ("5 pages read as 5 channels",)

    def test_alpha_beside_colours_is_dropped_and_said(self, tmp_path, rng):
        array = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
        image = read_image(written(tmp_path, array, photometric="rgb"))
        np.testing.assert_array_equal(image.array, array[..., :3].transpose(2, 0, 1))
        assert image.notes == ("alpha channel dropped",)

    def test_a_fourth_channel_that_is_not_called_alpha_is_kept(self, tmp_path, rng):
        array = rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)
        path = written(tmp_path, array, photometric="rgb", extrasamples=["unspecified"])
        assert read_image(path).array.shape == (4, 20, 30)

    @pytest.mark.parametrize("shape", [(1, 1), (1, 30), (20, 1)], ids=str)
    def test_thin_images_keep_their_two_axes(self, tmp_path, shape):
        assert read_image(written(tmp_path, np.zeros(shape, np.uint8))).array.shape == (1, *shape)


class TestPages:
    """A stack is read page by page."""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"compression": "deflate"},
            {"metadata": None, "compression": "lzw"},
            {"bigtiff": True},
            {"imagej": True},
        ],
        ids=str,
    )
    def test_each_page_is_the_image_that_was_written(self, tmp_path, rng, options):
        stack = rng.integers(0, 256, (30, 20, 40), dtype=np.uint8)
        path = written(tmp_path, stack, **options)
        assert count_pages(path) == 30
        for page in (0, 17, 29):
            np.testing.assert_array_equal(read_image(Source(path, page)).array, stack[page][None])
            np.testing.assert_array_equal(read_mask(Source(path, page)).values, stack[page])

    def test_pages_of_pillow_are_pages(self, tmp_path, rng):
        stack = rng.integers(0, 256, (3, 20, 40), dtype=np.uint8)
        frames = [PIL.Image.fromarray(page) for page in stack]
        frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
        assert count_pages(tmp_path / "a.tif") == 3
        np.testing.assert_array_equal(read_mask(Source(tmp_path / "a.tif", 2)).values, stack[2])

    def test_colour_pages_are_counted_without_their_channels(self, tmp_path, rng):
        stack = rng.integers(0, 256, (6, 20, 40, 3), dtype=np.uint8)
        path = written(tmp_path, stack, photometric="rgb", compression="deflate")
        assert count_pages(path) == 6
        np.testing.assert_array_equal(read_image(Source(path, 4)).array, stack[4].transpose(2, 0, 1))

    @pytest.mark.parametrize(
        ("length", "axes", "mode", "pages"),
        [
            (8, None, "grayscale", 8),  # called channels for want of a better word
            (5, None, "grayscale", 5),
            (8, "ZYX", "grayscale", 8),
            (3, "TYX", "grayscale", 3),
            (8, "CYX", "composite", 8),  # more than ImageJ can show as one picture
            (7, "CYX", "composite", 1),
            (4, None, "grayscale", 1),  # nothing tells these from channels
        ],
    )
    def test_a_stack_of_imagej_is_pages_where_it_cannot_be_channels(
        self, tmp_path, length, axes, mode, pages
    ):
        named = {"mode": mode} | ({"axes": axes} if axes else {})
        path = written(tmp_path, np.zeros((length, 20, 30), np.uint8), imagej=True, metadata=named)
        assert count_pages(path) == pages

    def test_the_channels_of_a_page_are_found_between_the_pages(self, tmp_path, rng):
        stack = rng.integers(0, 60000, (3, 4, 20, 40), dtype=np.uint16)  # channel, time, row, column
        path = tmp_path / "a.ome.tif"
        tifffile.imwrite(path, stack, metadata={"axes": "CTYX"}, compression="deflate")
        assert count_pages(path) == 4
        np.testing.assert_array_equal(read_image(Source(path, 2)).array, stack[:, 2])

    @pytest.mark.parametrize("shape", [(20, 30, 3), (3, 20, 30)], ids=str)
    def test_one_colour_image_is_one_page(self, tmp_path, shape):
        assert count_pages(written(tmp_path, np.zeros(shape, np.uint8), photometric="rgb")) == 1

    def test_a_thumbnail_is_no_page(self, tmp_path, rng):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(rng.integers(0, 256, (64, 64), dtype=np.uint8))
            file.write(np.zeros((16, 16), np.uint8), subfiletype=1)
        assert count_pages(tmp_path / "a.tif") == 1
        assert image_size(tmp_path / "a.tif") == Size(64, 64)

    def test_a_long_stack_is_not_one_image(self, tmp_path):
        with pytest.raises(ImageError, match=r"a\.tif, a stack of 17 pages"):
            read_image(written(tmp_path, np.zeros((17, 20, 30), np.float32)))

    @pytest.mark.parametrize("at_once", [0, 2**20])
    def test_pages_that_are_said_to_be_images_of_their_own_are_left_out_and_that_is_said(
        self, tmp_path, rng, at_once
    ):
        pages = rng.integers(0, 256, (3, 20, 40), dtype=np.uint8)
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for page in pages:
                file.write(page)  # describes itself
        with open_image(tmp_path / "a.tif", at_once=at_once) as image:
            np.testing.assert_array_equal(image.read(Box(0, 0, 20, 40)), pages[:1])
            assert image.notes == ("the first of 3 images in the file",)

    def test_several_pages_are_not_one_mask(self, tmp_path):
        with pytest.raises(ImageError, match=r"a\.tif, a mask of 2 pages"):
            read_mask(written(tmp_path, np.zeros((2, 20, 30), np.uint16)))

    def test_a_page_that_does_not_exist_is_refused(self, tmp_path):
        with pytest.raises(ImageError, match=r"a\.tif, which has 2 pages"):
            read_image(Source(written(tmp_path, np.zeros((2, 20, 30), np.uint16)), 2))


class TestPixels:
    """Depths, compressions and colour models."""

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float16", "float32", "float64"])
    @pytest.mark.parametrize("byteorder", ["<", ">"])
    def test_every_depth_comes_back(self, tmp_path, rng, dtype, byteorder):
        array = rng.integers(0, 200, (20, 30)).astype(dtype)
        read = read_image(written(tmp_path, array, byteorder=byteorder)).array
        assert (read.dtype, read.dtype.isnative) == (np.dtype(dtype), True)
        np.testing.assert_array_equal(read[0], array)

    @pytest.mark.parametrize("compression", ["deflate", "lzw", "zstd", "packbits", "jpegxl", "webp"])
    def test_every_compression_is_read(self, tmp_path, rgb, compression):
        args = {"webp": {"lossless": True}, "jpegxl": {"lossless": True}}.get(compression, {})
        path = written(tmp_path, rgb, photometric="rgb", compression=compression, compressionargs=args)
        np.testing.assert_array_equal(read_image(path).array, rgb.transpose(2, 0, 1))

    def test_jpeg_within_a_tiff_is_lossy_rgb(self, tmp_path, rgb):
        path = written(tmp_path, np.full_like(rgb, (200, 30, 60)), photometric="rgb", compression="jpeg")
        assert read_image(path).array[:, 5, 5].tolist() == pytest.approx([200, 30, 60], abs=4)
        assert read_mask(path).lossy

    def test_what_is_shown_inverted_is_inverted_in_images_and_not_in_masks(self, tmp_path, grey):
        path = written(tmp_path, grey, photometric="miniswhite")
        np.testing.assert_array_equal(read_image(path).array[0], 255 - grey)
        np.testing.assert_array_equal(read_mask(path).values, grey)

    @pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
    def test_one_bit_is_white_where_it_is_shown_white(self, tmp_path, grey, photometric):
        path = written(tmp_path, grey > 100, photometric=photometric)
        shown = (grey > 100) ^ (photometric == "miniswhite")
        np.testing.assert_array_equal(read_image(path).array[0], np.where(shown, 255, 0))
        np.testing.assert_array_equal(read_mask(path).values, np.where(shown, 255, 0))

    def test_inks_become_colours(self, tmp_path):
        inks = np.zeros((8, 8, 4), np.uint8)
        inks[..., 1] = inks[..., 2] = 255  # magenta and yellow make red
        image = read_image(written(tmp_path, inks, photometric="separated"))
        assert image.array[:, 0, 0].tolist() == [255, 0, 0]
        assert image.notes == ("CMYK converted to RGB",)

    def test_damage_within_compressed_pixels_is_an_error(self, tmp_path, rgb):
        path = written(tmp_path, rgb, photometric="rgb", compression="deflate")
        content = bytearray(path.read_bytes())
        content[-200:-100] = bytes(100)
        path.write_bytes(content)
        with pytest.raises(ImageError, match=r"a\.tif, which is damaged"):
            read_image(path)
