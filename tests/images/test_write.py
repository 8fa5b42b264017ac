"""What is written is read back, by Pillow, tifffile and ourselves."""

import io

import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from uvala.errors import ImageError, ShapeError, StorageError
from uvala.images.read import count_pages, read_image, read_mask
from uvala.images.write import encode_png, encode_webp, write_mask, write_probabilities, write_rgb

PALETTE = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)


class TestMasks:
    """In the user's encoding, without loss."""

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("name", ["m.png", "m.tif", "m.npy"])
    def test_the_depth_of_the_values_is_the_depth_of_the_file(self, tmp_path, dtype, name):
        values = np.array([[0, 1], [200, 3]], dtype)
        mask = read_mask(write_mask(tmp_path / name, values))
        assert mask.dtype == np.dtype(dtype).name
        np.testing.assert_array_equal(mask.values, values)

    def test_other_programs_see_a_16_bit_png(self, tmp_path):
        path = write_mask(tmp_path / "m.png", np.array([[0, 65535]], np.uint16))
        with PIL.Image.open(path) as picture:
            assert np.asarray(picture).tolist() == [[0, 65535]]

    def test_a_palette_makes_a_palette_png(self, tmp_path):
        path = write_mask(tmp_path / "m.png", np.array([[0, 1], [2, 1]]), PALETTE)
        with PIL.Image.open(path) as picture:
            assert picture.mode == "P"
            assert np.asarray(picture).tolist() == [[0, 1], [2, 1]]
            assert picture.getpalette("RGB")[:9] == PALETTE.ravel().tolist()

    @pytest.mark.parametrize("name", ["m.png", "m.tif"])
    def test_colours_come_back(self, tmp_path, rgb, name):
        np.testing.assert_array_equal(read_mask(write_mask(tmp_path / name, rgb)).values, rgb)

    def test_ids_beyond_16_bits_go_to_a_tiff(self, tmp_path):
        path = write_mask(tmp_path / "m.png", np.array([[0, 70000]], np.int32))
        assert path == tmp_path / "m.tif"
        assert tifffile.imread(path).tolist() == [[0, 70000]]

    @given(
        arrays.arrays(st.sampled_from(["i4", "u2", "i8"]), (3, 4), elements=st.integers(0, 60000)),
        st.sampled_from(["m.png", "m.tif", "m.npy"]),
    )
    @settings(max_examples=40, deadline=None)
    def test_any_numbers_come_back(self, tmp_path_factory, values, name):
        path = write_mask(tmp_path_factory.mktemp("mask") / name, values)
        np.testing.assert_array_equal(read_mask(path).values, values)

    @pytest.mark.parametrize(
        "values",
        [np.zeros((2, 2)), np.zeros(4, np.uint8), np.zeros((2, 2, 4), np.uint8), np.zeros((2, 2), bool)],
    )
    def test_other_arrays_are_refused(self, tmp_path, values):
        with pytest.raises(ShapeError, match="a mask"):
            write_mask(tmp_path / "m.png", values)
        assert list(tmp_path.iterdir()) == []

    def test_an_index_without_a_colour_is_refused(self, tmp_path):
        with pytest.raises(ShapeError, match="a palette of 3 colours"):
            write_mask(tmp_path / "m.png", np.array([[3]]), PALETTE)

    def test_a_format_that_loses_values_is_refused(self, tmp_path):
        with pytest.raises(ImageError, match=r"m\.jpg"):
            write_mask(tmp_path / "m.jpg", np.zeros((2, 2), np.uint8))

    def test_a_place_that_cannot_be_written_is_a_storage_error(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError):
            write_mask(tmp_path / "file" / "m.png", np.zeros((2, 2), np.uint8))


def test_probabilities_come_back_as_channels(tmp_path, rng):
    probabilities = rng.random((3, 20, 30), dtype=np.float32)
    write_probabilities(tmp_path / "p.tif", probabilities)
    np.testing.assert_array_equal(read_image(tmp_path / "p.tif").array, probabilities)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "p.tif"), probabilities)
    assert count_pages(tmp_path / "p.tif") == 1


def test_pictures_come_back(tmp_path, rgb):
    write_rgb(tmp_path / "p.png", rgb)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png").array, rgb.transpose(2, 0, 1))


@pytest.mark.parametrize("encode", [encode_png, lambda array: encode_webp(array, 90)], ids=["png", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_for_pages_are_what_they_claim(rgb, encode, channels):
    array = rgb if channels == 3 else rgb[..., 0]
    with PIL.Image.open(io.BytesIO(encode(array))) as picture:
        assert (picture.height, picture.width) == (20, 30)
