"""Images and masks as arrays: what is kept, what is dropped and said."""

import struct
import warnings
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from uvala.arrays import Size
from uvala.errors import ImageError
from uvala.images.read import Source, image_size, read_image, read_mask

VOID_PALETTE = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)


def palette_image(indices: np.ndarray, palette: np.ndarray = VOID_PALETTE) -> PIL.Image.Image:
    picture = PIL.Image.fromarray(indices)
    picture.putpalette(palette.tobytes())
    return picture


class TestImages:
    """[C, H, W] in the dtype of the file."""

    @pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.tif"])
    def test_colour_without_loss_comes_back_as_three_channels(self, save, rgb, name):
        path = save(name, rgb, **({"lossless": True} if name == "a.webp" else {}))
        np.testing.assert_array_equal(read_image(path).array, rgb.transpose(2, 0, 1))

    @pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.gif"])
    def test_grey_comes_back_as_one_channel(self, save, grey, name):
        np.testing.assert_array_equal(read_image(save(name, grey)).array, grey[None])

    def test_jpeg_is_decoded_as_pillow_decodes_it(self, save, rgb):
        path = save("a.jpg", rgb, quality=90)
        with PIL.Image.open(path) as picture:
            np.testing.assert_array_equal(read_image(path).array, np.asarray(picture).transpose(2, 0, 1))

    def test_content_and_not_the_ending_says_what_a_file_is(self, save, rgb):
        path = save("a.png", rgb)
        np.testing.assert_array_equal(
            read_image(path.rename(path.with_suffix(".jpg"))).array, rgb.transpose(2, 0, 1)
        )

    def test_16_bit_grey_png_keeps_its_depth(self, save, grey):
        deep = grey.astype(np.uint16) * 200 + 7
        array = read_image(save("a.png", deep)).array
        assert array.dtype == np.uint16
        np.testing.assert_array_equal(array[0], deep)

    @pytest.mark.parametrize("channels", [2, 3, 4])
    def test_16_bit_colour_png_keeps_its_depth(self, tmp_path, rng, channels):
        deep = rng.integers(0, 65536, (20, 30, channels), dtype=np.uint16)
        path = tmp_path / "a.png"
        path.write_bytes(imagecodecs.png_encode(deep))
        image, colours = read_image(path), 3 if channels > 2 else 1
        np.testing.assert_array_equal(image.array, deep[..., :colours].transpose(2, 0, 1))
        assert (image.notes == ("alpha channel dropped",)) is (channels in {2, 4})

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    def test_alpha_is_dropped_and_said(self, save, rgb, mode):
        picture = PIL.Image.fromarray(rgb).convert(mode)
        image = read_image(save("a.png", picture))
        np.testing.assert_array_equal(image.array, np.asarray(picture)[..., :-1].transpose(2, 0, 1))
        assert image.notes == ("alpha channel dropped",)

    def test_palette_becomes_rgb(self, save, grey):
        indices = grey % 3
        array = read_image(save("a.png", palette_image(indices))).array
        np.testing.assert_array_equal(array, VOID_PALETTE[indices].transpose(2, 0, 1))

    def test_grey_palette_becomes_one_channel(self, save, grey):
        levels = np.repeat(np.array([[10], [200], [90]], np.uint8), 3, axis=1)
        array = read_image(save("a.gif", palette_image(grey % 3, levels))).array
        np.testing.assert_array_equal(array[0], levels[grey % 3, 0])

    def test_one_bit_becomes_0_and_255(self, save, grey):
        array = read_image(save("a.png", PIL.Image.fromarray(grey > 100))).array
        np.testing.assert_array_equal(array[0], np.where(grey > 100, 255, 0))

    def test_cmyk_becomes_rgb_and_is_said(self, save):
        image = read_image(save("a.jpg", PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=95))
        assert image.array.shape == (3, 8, 8)
        assert image.array[:, 4, 4].tolist() == pytest.approx([254, 0, 0], abs=6)
        assert image.notes == ("CMYK converted to RGB",)

    @pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
    def test_of_an_animation_the_first_frame_is_read_and_said(self, save, grey, name):
        frames = [PIL.Image.fromarray(grey), PIL.Image.fromarray(255 - grey)]
        options = {"lossless": True} if name == "a.webp" else {}
        image = read_image(save(name, frames[0], save_all=True, append_images=frames[1:], **options))
        np.testing.assert_array_equal(image.array[0], grey)
        assert image.notes == ("first frame of an animation",)

    def test_an_image_of_one_pixel_is_an_image(self, save):
        path = save("a.png", np.array([[9]], np.uint8))
        assert read_image(path).array.tolist() == [[[9]]]

    def test_metadata_that_pillow_refuses_does_not_matter(self, save, rgb):
        path = save("a.png", rgb)
        content = path.read_bytes()
        # a compressed text chunk of 80 MB: Pillow raises "Decompressed data too large"
        text = b"comment\0\0" + zlib_bomb(80_000_000)
        path.write_bytes(content[:33] + png_chunk(b"zTXt", text) + content[33:])
        np.testing.assert_array_equal(read_image(path).array, rgb.transpose(2, 0, 1))

    def test_pictures_beyond_pillows_limit_are_read_in_silence(self, save, rgb, monkeypatch):
        paths = [save(f"a.{ending}", rgb) for ending in ("png", "jpg", "webp", "gif", "bmp")]
        monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)  # 600 pixels are six times too many
        assert [read_image(path).array.shape[1:] for path in paths] == [(20, 30)] * 5

    def test_broken_exif_is_no_warning(self, tmp_path, rgb):
        picture, path = PIL.Image.fromarray(rgb), tmp_path / "a.jpg"
        picture.save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x12\x01")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_image(path).array.shape == (3, 20, 30)

    def test_many_threads_read_the_same_as_one(self, save, rgb, grey):
        paths = [save("a.png", rgb), save("b.jpg", rgb), save("c.tif", rgb), save("d.gif", grey)] * 25
        with ThreadPoolExecutor(8) as pool:
            arrays_ = list(pool.map(lambda path: read_image(path).array, paths))
        assert all(
            np.array_equal(one, read_image(path).array) for one, path in zip(arrays_, paths, strict=True)
        )


class TestNpy:
    """Arrays, of which the shortest axis is the channels."""

    @pytest.mark.parametrize(
        ("shape", "read"),
        [
            ((20, 30), (1, 20, 30)),
            ((20, 30, 5), (5, 20, 30)),
            ((5, 20, 30), (5, 20, 30)),
            ((1, 20, 30), (1, 20, 30)),
            ((3, 20, 3), (3, 3, 20)),  # equally short: the last
        ],
        ids=str,
    )
    def test_channels_are_found(self, tmp_path, rng, shape, read):
        np.save(tmp_path / "a.npy", rng.random(shape, dtype=np.float32))
        image = read_image(tmp_path / "a.npy")
        assert (image.array.shape, image.array.dtype) == (read, np.float32)
        assert image_size(tmp_path / "a.npy") == Size(*read[1:])

    @pytest.mark.parametrize(
        "array",
        [np.zeros((40, 50, 60)), np.zeros(7), np.zeros((4, 4), complex), np.array(["a"]), np.zeros((0, 4))],
        ids=["volume", "row", "complex", "text", "empty"],
    )
    def test_other_arrays_are_refused_by_name(self, tmp_path, array):
        np.save(tmp_path / "odd.npy", array)
        with pytest.raises(ImageError, match=r"odd\.npy"):
            read_image(tmp_path / "odd.npy")

    def test_pickled_objects_are_not_loaded(self, tmp_path):
        np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
        with pytest.raises(ImageError, match=r"a\.npy"):
            read_image(tmp_path / "a.npy")

    @given(
        arrays.arrays(
            st.sampled_from(["u1", ">u2", "<i4", ">f4", "f8", "?"]),
            arrays.array_shapes(min_dims=2, max_dims=2),
        )
    )
    @settings(max_examples=40, deadline=None)
    def test_any_plane_of_numbers_comes_back(self, tmp_path_factory, array):
        path = tmp_path_factory.mktemp("npy") / "a.npy"
        np.save(path, array)
        read = read_image(path).array
        assert read.dtype.isnative
        np.testing.assert_array_equal(read[0], array * (255 if array.dtype == bool else 1))


class TestOrientation:
    """EXIF orientation is applied once, to images, masks and sizes."""

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
    def test_turned_as_pillow_turns(self, save, rgb, name, orientation):
        exif = PIL.Image.Exif()
        exif[0x0112] = orientation
        picture = PIL.Image.fromarray(rgb)
        picture.info.pop("exif", None)
        options = {"lossless": True} if name == "a.webp" else {}
        path = save(name, picture, exif=exif, **options)
        with PIL.Image.open(path) as stored:
            expected = np.asarray(PIL.ImageOps.exif_transpose(stored))
        np.testing.assert_array_equal(read_image(path).array, expected.transpose(2, 0, 1))
        assert image_size(path) == Size(*expected.shape[:2])

    def test_a_mask_is_turned_like_its_image(self, save, grey):
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        path = save("a.png", grey, exif=exif)
        np.testing.assert_array_equal(read_mask(path).values, np.rot90(grey, -1))

    @pytest.mark.parametrize("value", [0, 9, 60000])
    def test_an_orientation_that_does_not_exist_is_upright(self, save, rgb, value):
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + struct.pack("<I", value) + b"\0" * 4
        assert read_image(save("a.jpg", rgb, exif=exif)).array.shape == (3, 20, 30)


class TestMasks:
    """The values as they are stored; their meaning is found elsewhere."""

    @pytest.mark.parametrize("name", ["a.png", "a.gif", "a.tif", "a.bmp"])
    def test_palette_files_give_indices_and_their_palette(self, save, grey, name):
        mask = read_mask(save(name, palette_image(grey % 3)))
        np.testing.assert_array_equal(mask.values, grey % 3)
        np.testing.assert_array_equal(mask.palette[:3], VOID_PALETTE)

    def test_a_transparent_palette_entry_changes_no_index(self, save, grey):
        mask = read_mask(save("a.png", palette_image(grey % 3), transparency=0))
        np.testing.assert_array_equal(mask.values, grey % 3)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_numbers_stay_as_they_are(self, save, grey, dtype):
        mask = read_mask(save("a.png", (grey.astype(dtype) * (1 if dtype == np.uint8 else 250))))
        assert (mask.dtype, mask.palette, mask.lossy) == (np.dtype(dtype).name, None, False)
        np.testing.assert_array_equal(mask.values, grey.astype(dtype) * (1 if dtype == np.uint8 else 250))

    def test_equal_channels_become_one(self, save, grey):
        np.testing.assert_array_equal(read_mask(save("a.png", np.stack([grey] * 3, -1))).values, grey)

    def test_colours_stay_colours(self, save, rgb):
        np.testing.assert_array_equal(read_mask(save("a.png", rgb)).values, rgb)

    def test_one_bit_is_0_and_255_and_says_so(self, save, grey):
        mask = read_mask(save("a.png", PIL.Image.fromarray(grey > 100)))
        assert (set(np.unique(mask.values)), mask.dtype) == ({0, 255}, "bool")

    def test_a_boolean_array_is_0_and_1(self, tmp_path, grey):
        np.save(tmp_path / "a.npy", grey > 100)
        assert set(np.unique(read_mask(tmp_path / "a.npy").values)) == {0, 1}

    def test_whole_numbers_stored_as_floats_become_integers(self, tmp_path, grey):
        np.save(tmp_path / "a.npy", grey.astype(np.float32))
        mask = read_mask(tmp_path / "a.npy")
        assert (mask.values.dtype.kind, mask.dtype) == ("i", "float32")
        np.testing.assert_array_equal(mask.values, grey)

    @pytest.mark.parametrize(
        ("fill", "what"),
        [(0.5, "probabilities"), (7.5, "fractions"), (np.nan, "NaN or infinity"), (np.inf, "NaN")],
    )
    def test_other_floats_are_refused_with_the_reason(self, tmp_path, grey, fill, what):
        values = (grey > 100).astype(np.float16)
        values[0, 0] = fill
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(ImageError, match=rf"a\.npy, a mask .*{what}"):
            read_mask(tmp_path / "a.npy")

    @pytest.mark.parametrize(
        ("name", "options", "lossy"),
        [
            ("a.jpg", {}, True),
            ("a.webp", {}, True),
            ("a.webp", {"lossless": True}, False),
            ("a.png", {}, False),
        ],
    )
    def test_lossy_compression_is_told(self, save, grey, name, options, lossy):
        assert read_mask(save(name, grey, **options)).lossy is lossy

    def test_a_drawing_that_only_alpha_holds_is_told(self, save, grey):
        picture = np.zeros((*grey.shape, 4), np.uint8)
        picture[..., 3] = np.where(grey > 100, 255, 0)
        (note,) = read_mask(save("a.png", picture)).notes
        assert "only it holds a drawing" in note

    def test_two_channels_are_no_mask(self, tmp_path):
        np.save(tmp_path / "a.npy", np.zeros((20, 30, 2), np.uint8))
        with pytest.raises(ImageError, match="a mask of 2 channels"):
            read_mask(tmp_path / "a.npy")


class TestRefusals:
    """One sentence that names the file."""

    @pytest.mark.parametrize("read", [read_image, read_mask, image_size])
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "empty"),
            (b"hello, world", "not an image"),
            (b"%PDF-1.7", "a PDF document"),
            (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
            (b"\0\0\0\x1cftypheic", "an HEIC photo"),
            (b"BM", "damaged"),
            (b"\x89PNG\r\n\x1a\n", "damaged"),
        ],
        ids=lambda value: str(value)[:12],
    )
    def test_what_is_no_image_is_named(self, tmp_path, read, content, said):
        path = tmp_path / "photo.png"
        path.write_bytes(content)
        with pytest.raises(ImageError, match=said) as caught:
            read(path)
        assert str(path) in str(caught.value)

    def test_a_missing_file_and_a_folder_are_refused(self, tmp_path):
        for path in (tmp_path / "none.png", tmp_path):
            with pytest.raises(ImageError, match="cannot be opened"):
                read_image(path)

    def test_a_page_of_a_single_image_is_refused(self, save, rgb):
        with pytest.raises(ImageError, match=r"page 3 asked of .*a\.png"):
            read_image(Source(save("a.png", rgb), page=3))

    def test_a_flipped_bit_in_a_png_is_found(self, save, rgb):
        path = save("a.png", rgb)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(ImageError, match="checksum"):
            read_image(path)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    import zlib

    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def zlib_bomb(size: int) -> bytes:
    import zlib

    return zlib.compress(bytes(size))
