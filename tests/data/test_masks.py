"""An encoding reads a user's masks and writes predictions the same way."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from uvala.arrays import IGNORE
from uvala.config import build
from uvala.data.masks import ClassEntry, MaskEncoding, object_labels, pack_colours, unpack_colour
from uvala.errors import ConfigError, MaskError
from uvala.images.read import RawMask, read_mask

CLASSES = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)


def encoding(kind, *values, **more):
    entries = tuple(ClassEntry(name=f"c{index}", values=(value,)) for index, value in enumerate(values))
    return MaskEncoding(kind=kind, classes=entries, **more)


class TestDecode:
    """From values in a file to class indices."""

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64], ids=str)
    def test_values_become_class_indices_in_any_integer_type(self, dtype):
        """P1: masks 0/255 versus class ids."""
        raw = RawMask(np.array([[7, 100], [200, 7]], dtype))
        assert_array_equal(encoding("values", 7, 100, 200).decode(raw), [[0, 1], [2, 0]])

    def test_class_maps_are_uint8_with_255_where_nothing_is_known(self):
        """P4: the void of VOC masks is not a class."""
        found = encoding("palette", 0, 1, ignore=(255,)).decode(RawMask(np.array([[0, 1, 255]], np.uint8)))
        assert found.dtype == np.uint8
        assert_array_equal(found, [[0, 1, IGNORE]])

    def test_several_values_can_mean_one_class(self):
        """P1: 1 and 255 both foreground."""
        both = MaskEncoding(
            kind="values",
            classes=(ClassEntry(name="a", values=(0,)), ClassEntry(name="b", values=(1, 255))),
        )
        assert_array_equal(both.decode(RawMask(np.array([[0, 1, 255]], np.uint8))), [[0, 1, 1]])

    def test_a_value_of_no_class_is_refused_with_file_and_pixels(self):
        """P1: a clear sentence instead of a device-side assert."""
        raw = RawMask(np.array([[0, 255, 255]], np.uint8))
        with pytest.raises(
            MaskError, match=r"masks/a\.png: values 255 on 2 pixels; expected .* 0 \(c0\), 1 \(c1\)"
        ):
            encoding("values", 0, 1).decode(raw, "masks/a.png")

    def test_negative_values_can_be_ignored(self):
        raw = RawMask(np.array([[-1, 0, 1]], np.int32))
        assert_array_equal(encoding("values", 0, 1, ignore=(-1,)).decode(raw), [[IGNORE, 0, 1]])

    def test_snapping_takes_the_nearest_grey_value(self):
        raw = RawMask(np.array([[0, 100, 128, 250]], np.uint8))
        assert_array_equal(encoding("values", 0, 255, snap=True).decode(raw), [[0, 0, 1, 1]])

    def test_snapping_takes_the_nearest_colour(self):
        raw = RawMask(np.array([[[250, 5, 9], [3, 240, 2]]], np.uint8))
        assert_array_equal(encoding("colours", 0xFF0000, 0x00FF00, snap=True).decode(raw), [[0, 1]])

    def test_colours_are_read_from_rgb_palette_and_grey_files_alike(self):
        """P4: 24-bit colour labels."""
        colours = encoding("colours", 0x000000, 0xFF0000, 0xFFFFFF)
        rgb = np.array([[[0, 0, 0], [255, 0, 0], [255, 255, 255]]], np.uint8)
        palette = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0]], np.uint8)
        grey = RawMask(np.array([[0, 255]], np.uint8))  # what a colour mask without colours is read as
        assert_array_equal(colours.decode(RawMask(rgb)), [[0, 1, 2]])
        assert_array_equal(colours.decode(RawMask(np.array([[1, 2, 0]], np.uint8), palette)), [[0, 1, 2]])
        assert_array_equal(colours.decode(grey), [[0, 2]])

    def test_a_palette_mask_saved_as_rgb_is_read_through_the_palette(self):
        """P4: an editor turned one palette PNG of many into 24-bit colour."""
        palette = encoding("palette", 0, 1, 2, palette=((0, 0, 0), (128, 0, 0), (0, 128, 0)))
        rgb = np.array([[[0, 128, 0], [0, 0, 0], [128, 0, 0]]], np.uint8)
        assert_array_equal(palette.decode(RawMask(rgb)), [[2, 0, 1]])
        with pytest.raises(MaskError, match="not in the palette"):
            palette.decode(RawMask(rgb + 1))

    def test_a_colour_mask_among_grey_ones_is_refused(self):
        with pytest.raises(MaskError, match="a colour mask"):
            encoding("values", 0, 1).decode(RawMask(np.zeros((2, 2, 3), np.uint8)))

    def test_object_numbers_are_foreground_and_stay_readable_as_objects(self):
        raw = RawMask(np.array([[0, 5, 70000], [0, 5, 9]], np.int32))
        numbers = encoding("instances", 0, 1, ignore=(9,))
        assert_array_equal(numbers.decode(raw), [[0, 1, 1], [0, 1, IGNORE]])
        assert_array_equal(numbers.labels(raw), [[0, 5, 70000], [0, 5, 0]])

    def test_object_numbers_beyond_32_bits_are_counted_anew(self):
        raw = RawMask(np.array([[0, 2**40, 2**41]], np.int64))
        assert_array_equal(encoding("instances", 0, 1).labels(raw), [[0, 2, 3]])


class TestEncode:
    """Predictions are written as the user's masks are."""

    @pytest.mark.parametrize(
        "own",
        [
            encoding("values", 0, 127, 255),
            encoding("values", 0, 1000, 2000, dtype="uint16"),
            encoding("palette", 0, 1, 2, palette=((0, 0, 0), (9, 8, 7), (1, 2, 3))),
            encoding("colours", 0x000000, 0x804000, 0x0080FF),
        ],
        ids=lambda own: f"{own.kind}-{own.dtype}",
    )
    def test_a_written_mask_reads_back_as_the_same_classes(self, own, tmp_path):
        """P2: predictions in the user's own encoding."""
        where = own.write(tmp_path / "prediction.png", CLASSES)
        assert_array_equal(own.decode(read_mask(where)), CLASSES)

    def test_the_palette_is_written_too(self, tmp_path):
        """P4: a palette in, a palette out."""
        own = encoding("palette", 0, 1, 2, palette=((0, 0, 0), (9, 8, 7), (1, 2, 3)))
        back = read_mask(own.write(tmp_path / "p.png", CLASSES))
        assert_array_equal(back.palette[:3], own.palette)
        assert_array_equal(back.values, CLASSES)

    def test_objects_are_numbered_from_1_by_connected_component(self):
        classes = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0]], np.uint8)
        written = encoding("instances", 0, 1, dtype="uint16").encode(classes)
        assert written.dtype == np.uint16
        assert sorted(np.unique(written)) == [0, 1, 2, 3]
        assert written[0, 2] == written[1, 2]

    def test_more_objects_than_a_palette_has_places_are_written_without_it(self, tmp_path):
        classes = np.zeros((64, 64), np.uint8)
        classes[::2, ::2] = 1  # 1,024 objects
        own = encoding("instances", 0, 1, palette=((0, 0, 0), (255, 0, 0)))
        assert read_mask(own.write(tmp_path / "many.png", classes)).values.max() == 1024

    def test_ignored_pixels_get_the_ignore_value(self):
        own = encoding("values", 0, 1, ignore=(255,))
        assert_array_equal(own.encode(np.array([[0, 1, IGNORE]], np.uint8)), [[0, 1, 255]])

    def test_an_encoding_survives_json(self):
        own = encoding("palette", 0, 1, 2, ignore=(255,), palette=((0, 0, 0), (9, 8, 7), (1, 2, 3)))
        assert MaskEncoding.model_validate_json(own.model_dump_json()) == own


@pytest.mark.parametrize(
    ("classes", "ignore", "why"),
    [
        ([("a", [0]), ("b", [0])], [], "0 cannot mean two things"),
        ([("a", [0]), ("b", [1])], [1], "1 cannot mean two things"),
        ([("a", [0]), ("a", [1])], [], "class names must differ"),
    ],
)
def test_contradicting_encodings_are_refused(classes, ignore, why):
    entries = [{"name": name, "values": values} for name, values in classes]
    with pytest.raises(ConfigError, match=why):
        build(MaskEncoding, {"kind": "values", "classes": entries, "ignore": ignore}, where="test")


def test_masks_of_one_object_each_become_numbered_objects():
    first = RawMask(
        np.array([[255, 200, 0, 0]], np.uint8)
    )  # a smoothed outline: 200 is more than half of 255
    second = RawMask(np.array([[0, 0, 40, 1]], np.uint8))
    assert_array_equal(object_labels([first, second, RawMask(np.zeros((1, 4), np.uint8))]), [[1, 1, 2, 0]])


def test_colours_survive_packing():
    colours = np.random.default_rng(0).integers(0, 256, (20, 3), np.uint8)
    assert [unpack_colour(code) for code in pack_colours(colours).tolist()] == [
        tuple(c) for c in colours.tolist()
    ]


def test_predictions_keep_the_bit_depth_of_the_masks(tmp_path):
    """P2: predictions in the user's own encoding."""
    import imagecodecs

    from uvala.data.dataset import read_dataset

    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 200, (20, 20))
        (tmp_path / f"images/{index}.png").write_bytes(imagecodecs.png_encode(pixels.astype(np.uint8)))
        mask = np.zeros((20, 20), np.uint16)
        mask[5:15, 5:15] = 1
        (tmp_path / f"masks/{index}.png").write_bytes(imagecodecs.png_encode(mask))
    encoding = read_dataset(tmp_path).encoding
    assert encoding.encode(np.eye(4, dtype=np.uint8)).dtype == np.uint16
