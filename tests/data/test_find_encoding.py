"""What masks mean is found by looking at all of them. Here masks are arrays; files: test_dataset.py."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from uvala.arrays import IGNORE
from uvala.data.dataset_toml import DatasetToml
from uvala.data.encoding_table import encoding_table
from uvala.data.find_encoding import find_encoding
from uvala.data.mask_facts import look_at_mask, look_at_objects
from uvala.errors import ConfigError, MaskError
from uvala.images.read import RawMask

VOC = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]], np.uint8)


def discs(drawn, seed, values, number=6):
    """Discs on `values[0]`, each with the next of the other values in turn."""
    labels = drawn.discs(seed, number)
    kinds = np.where(labels > 0, 1 + (labels - 1) % (len(values) - 1), 0)
    return np.array(values)[kinds]


def found_in(arrays, names=None, toml=None, **raw):
    dtype = raw.pop("as_type", np.uint8)
    masks = [
        look_at_mask(RawMask(np.asarray(array).astype(dtype), **raw), f"m{index:03d}.png", components=True)
        for index, array in enumerate(arrays)
    ]
    return find_encoding(masks, names, toml)


def values_of(found):
    return [entry.values[0] for entry in found.encoding.classes]


def coloured(classes, colours):
    return np.array(colours, np.uint8)[classes]


def large(array):
    """Each pixel as a block of 2x2."""
    return np.repeat(np.repeat(array, 2, 0), 2, 1)


def jpeg(array, quality=75):
    stream = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


class TestValues:
    """P1: masks 0/255 versus class ids."""

    @pytest.mark.parametrize("pair", [(0, 255), (0, 1), (1, 2), (7, 200), (0, 65535)], ids=str)
    def test_any_two_values_are_two_classes(self, drawn, pair):
        found = found_in([discs(drawn, seed, pair) for seed in range(4)], as_type=np.uint16)
        assert values_of(found) == list(pair)
        assert found.encoding.names == ("background", "foreground")

    def test_one_mask_holds_and_two_hold(self, drawn):
        masks = [discs(drawn, seed, (0, 1)) for seed in range(2)]
        assert found_in(masks[:1]).evidence[0].startswith("1 mask holds the values 0, 1")
        assert found_in(masks).evidence[0].startswith("2 masks hold the values 0, 1")

    def test_class_numbers_are_classes_in_their_order(self, drawn):
        found = found_in([discs(drawn, seed, [0, 2, 1, 4]) for seed in range(4)])
        assert values_of(found) == [0, 1, 2, 4]
        assert found.encoding.names == ("background", "class 1", "class 2", "class 4")

    def test_few_class_numbers_in_a_16_bit_file_are_not_objects(self, drawn):
        found = found_in([discs(drawn, seed, [0, 1, 2]) for seed in range(4)], as_type=np.uint16)
        assert (found.encoding.kind, values_of(found)) == ("values", [0, 1, 2])

    def test_evenly_spread_greys_are_classes_and_white_is_not_ignored(self, drawn):
        assert values_of(found_in([discs(drawn, seed, [0, 128, 255]) for seed in range(4)])) == [0, 128, 255]

    def test_a_thin_outline_is_a_class_and_no_blurred_edge(self, drawn):
        """A border class of one pixel has no inner pixels either; but it is one value, not many."""
        masks = []
        for seed in range(4):
            labels = drawn.discs(seed)
            inside = labels > 0
            eroded = inside & np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1)
            masks.append(np.where(eroded, 255, np.where(inside, 128, 0)))
        assert values_of(found_in(masks)) == [0, 128, 255]

    @pytest.mark.parametrize("void", [255, -1, 65535])
    def test_a_value_apart_from_the_class_numbers_is_ignored(self, drawn, void):
        """P28: one ignore value, found where it behaves as void does."""
        found = found_in([discs(drawn, seed, [0, 1, void]) for seed in range(4)], as_type=np.int32)
        assert (values_of(found), found.encoding.ignore) == ([0, 1], (void,))

    def test_one_mask_without_background_is_enough_to_see_two_values(self, drawn):
        assert values_of(found_in([np.zeros((64, 64)), np.ones((64, 64)), np.zeros((64, 64))])) == [0, 1]

    def test_0_and_1_here_but_0_and_255_there_is_refused_with_both_groups(self, drawn):
        """P1: half the masks came out of another program."""
        mixed = [
            discs(drawn, 0, [0, 1]),
            discs(drawn, 1, [0, 255]),
            discs(drawn, 2, [0, 1]),
            np.zeros((64, 64)),
        ]
        with pytest.raises(
            MaskError, match=r"0 and 1 in 2 masks, such as m000\.png; 0 and 255 in 1 mask, such as m001"
        ):
            found_in(mixed)

    def test_dataset_toml_settles_two_spellings(self, drawn):
        mixed = [discs(drawn, 0, [0, 1]), discs(drawn, 1, [0, 255])]
        one = found_in(mixed, toml=DatasetToml(classes={"background": 0, "cell": [1, 255]}))
        void = found_in(mixed, toml=DatasetToml(ignore=[255]))
        assert one.encoding.classes[1].values == (1, 255)
        assert (values_of(void), void.encoding.ignore) == ([0, 1], (255,))

    def test_a_slip_of_the_pen_is_ignored_and_said(self, drawn):
        masks = [discs(drawn, seed, [0, 255]) for seed in range(30)]
        masks[7][20, 20:23] = 7
        found = found_in(masks)
        assert (values_of(found), found.strays, found.encoding.ignore) == ([0, 255], (7,), (7,))
        assert "slip" in " ".join(found.evidence)

    def test_a_rare_class_that_has_a_name_is_no_slip(self, drawn):
        masks = [discs(drawn, seed, [0, 1]) for seed in range(30)]
        masks[7][20, 20:23] = 2
        assert values_of(found_in(masks, names=["ground", "cell", "dust"])) == [0, 1, 2]


class TestPalettes:
    """P4: palette PNGs hold indices, and the indices are the classes."""

    def test_indices_are_classes_and_255_beside_them_is_void(self, drawn):
        masks = [discs(drawn, seed, [0, 1, 2, 255]) for seed in range(4)]
        palette = np.zeros((256, 3), np.uint8)
        palette[:4], palette[255] = VOC, (224, 224, 192)
        found = found_in(masks, palette=palette)
        assert (found.encoding.kind, values_of(found), found.encoding.ignore) == (
            "palette",
            [0, 1, 2],
            (255,),
        )
        assert found.encoding.palette[1] == (128, 0, 0)

    def test_0_and_255_alone_are_two_classes(self, drawn):
        palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        found = found_in([discs(drawn, seed, [0, 255]) for seed in range(4)], palette=palette)
        assert (values_of(found), found.encoding.ignore) == ([0, 255], ())

    def test_palettes_numbered_anew_in_each_file_make_the_colours_the_classes(self, drawn):
        first = RawMask(
            discs(drawn, 0, [0, 1]).astype(np.uint8), np.array([[0, 0, 0], [255, 0, 0]], np.uint8)
        )
        second = RawMask(
            discs(drawn, 1, [1, 0]).astype(np.uint8), np.array([[255, 0, 0], [0, 0, 0]], np.uint8)
        )
        found = find_encoding([look_at_mask(first, "a"), look_at_mask(second, "b")])
        assert (found.encoding.kind, values_of(found)) == ("colours", [0, 0xFF0000])
        assert_array_equal(found.encoding.decode(second) > 0, drawn.discs(1, 6) > 0)  # index 0 is red there

    def test_one_colour_under_two_numbers_in_two_palettes_is_one_class(self, drawn):
        first = RawMask(discs(drawn, 0, [0, 1]).astype(np.uint8), np.array([[0] * 3, [255] * 3], np.uint8))
        second = RawMask(
            discs(drawn, 1, [0, 2]).astype(np.uint8), np.array([[0] * 3, [9] * 3, [255] * 3], np.uint8)
        )
        found = find_encoding([look_at_mask(first, "a"), look_at_mask(second, "b")])
        assert (found.encoding.kind, values_of(found)) == ("colours", [0, 0xFFFFFF])

    def test_one_palette_mask_saved_as_rgb_belongs_to_the_others(self, drawn):
        masks = [RawMask(discs(drawn, seed, [0, 1, 2]).astype(np.uint8), VOC) for seed in range(4)]
        masks.append(RawMask(VOC[discs(drawn, 9, [0, 1, 2])]))
        facts = [look_at_mask(mask, f"{index}") for index, mask in enumerate(masks)]
        found = find_encoding(facts)
        assert (found.encoding.kind, values_of(found)) == ("palette", [0, 1, 2])
        assert [row.images for row in encoding_table(facts, found.encoding)] == [5, 5, 5]


class TestColours:
    """P4: 24-bit colour labels, classes never typed by hand."""

    def test_each_colour_is_a_class_black_first(self, drawn):
        masks = [
            coloured(discs(drawn, seed, [0, 1, 2]), [[0, 0, 0], [200, 30, 40], [10, 60, 70]])
            for seed in range(4)
        ]
        found = found_in(masks)
        assert (found.encoding.kind, values_of(found)) == ("colours", [0, 0x0A3C46, 0xC81E28])
        assert found.encoding.names[1] == "colour #0a3c46"

    def test_the_colours_of_voc_take_its_order_its_names_and_its_void(self, drawn):
        colours = [*VOC[[0, 2, 1]], (224, 224, 192)]
        masks = [coloured(discs(drawn, seed, [0, 1, 2, 3]), colours) for seed in range(4)]
        found = found_in(masks, names=["ground", "cat", "dog"])
        assert values_of(found) == [0x000000, 0x800000, 0x008000]
        assert (found.encoding.names, found.encoding.ignore) == (("ground", "cat", "dog"), (0xE0E0C0,))

    def test_a_list_of_names_cannot_tell_other_colours_apart(self, drawn):
        masks = [
            coloured(discs(drawn, seed, [0, 1, 2]), [[0, 0, 0], [200, 30, 40], [10, 60, 70]])
            for seed in range(4)
        ]
        found = found_in(masks, names=["ground", "cat", "dog"])
        assert found.encoding.names[0].startswith("colour")
        assert "do not say which colour" in " ".join(found.evidence)

    def test_black_masks_among_colours_are_empty_and_no_contradiction(self, drawn):
        masks = [coloured(discs(drawn, seed, [0, 1]), [[0, 0, 0], [200, 30, 40]]) for seed in range(3)]
        facts = [look_at_mask(RawMask(mask), str(index)) for index, mask in enumerate(masks)]
        facts.append(look_at_mask(RawMask(np.zeros((64, 64), np.uint8)), "empty"))
        assert values_of(find_encoding(facts)) == [0, 0xC81E28]

    def test_one_colour_mask_among_grey_ones_is_named(self, drawn):
        facts = [look_at_mask(RawMask(discs(drawn, s, [0, 255]).astype(np.uint8)), f"g{s}") for s in range(5)]
        red = coloured(discs(drawn, 9, [0, 1]), [[0, 0, 0], [255, 0, 0]])
        with pytest.raises(MaskError, match=r"the colour ones: red\.png"):
            find_encoding([*facts, look_at_mask(RawMask(red), "red.png")])


class TestBlurredMasks:
    """Masks saved as JPEG or resized with smoothing still have the classes that were drawn."""

    @pytest.mark.parametrize("quality", [95, 75, 40])
    def test_a_jpeg_of_two_values_is_two_classes(self, drawn, quality):
        """P9: JPEG is no second-class citizen, but its masks are read as the nearest class."""
        truth = [discs(drawn, seed, [0, 255]) for seed in range(4)]
        found = found_in([jpeg(mask, quality) for mask in truth], lossy=True)
        assert (values_of(found), found.encoding.snap) == ([0, 255], True)
        decoded = found.encoding.decode(RawMask(jpeg(truth[0], quality)))
        assert (decoded != (truth[0] > 0)).mean() < 0.01

    def test_a_jpeg_of_colours_has_the_colours_that_were_drawn(self, drawn):
        """P4: colour labels saved as JPEG."""
        classes = [large(large(discs(drawn, seed, [0, 1, 2]))) for seed in range(4)]
        masks = [jpeg(coloured(each, VOC[:3]), 90) for each in classes]
        found = found_in(masks, lossy=True)
        assert (values_of(found), found.encoding.snap) == ([0, 0x800000, 0x008000], True)
        assert (found.encoding.decode(RawMask(masks[0])) != classes[0]).mean() < 0.02

    def test_class_numbers_saved_as_jpeg_are_lost_and_said_so(self, drawn):
        """P1: 0, 1, 2, 3 in a JPEG come back as anything between."""
        clean = [
            look_at_mask(RawMask(discs(drawn, s, [0, 4, 8]).astype(np.uint8)), f"{s}.png") for s in range(4)
        ]
        bad = look_at_mask(RawMask(jpeg(discs(drawn, 9, [0, 4, 8]), 50), lossy=True), "bad.jpg")
        with pytest.raises(MaskError, match=r"1 mask saved with loss \(JPEG\).*: bad\.jpg; .*as PNG"):
            find_encoding([*clean, bad])

    def test_colours_that_jpeg_blurred_beyond_reading_are_refused_with_the_way_out(self, drawn):
        colours = [[0] * 3, [255, 0, 0], [0, 0, 255]]
        masks = [jpeg(coloured(discs(drawn, seed, [0, 1, 2], 12), colours), 60) for seed in range(4)]
        with pytest.raises(MaskError, match="save masks as PNG, for JPEG blurs them"):
            found_in(masks, lossy=True)

    @pytest.mark.parametrize("size", [(48, 48), (32, 32), (100, 100)], ids=str)
    def test_smoothed_edges_are_no_classes(self, drawn, size):
        masks = [
            Image.fromarray(discs(drawn, s, [0, 255]).astype(np.uint8)).resize(size, 2) for s in range(4)
        ]
        found = found_in([np.asarray(mask) for mask in masks])
        assert (values_of(found), found.encoding.snap) == ([0, 255], True)
        assert "blurred or compressed edges" in " ".join(found.evidence)

    def test_one_smoothed_mask_does_not_make_classes_of_its_edges(self, drawn):
        masks = [discs(drawn, seed, [0, 255]) for seed in range(20)]
        masks[3] = np.asarray(Image.fromarray(masks[3].astype(np.uint8)).resize((100, 100), 2))
        assert values_of(found_in(masks)) == [0, 255]

    def test_dataset_toml_can_forbid_snapping(self, drawn):
        masks = [
            Image.fromarray(discs(drawn, s, [0, 255]).astype(np.uint8)).resize((48, 48), 2) for s in range(4)
        ]
        with pytest.raises(MaskError, match="one value for each class"):
            found_in([np.asarray(mask) for mask in masks], toml=DatasetToml(snap=False))


class TestObjects:
    """Object numbers are told from class numbers."""

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32], ids=str)
    def test_numbers_from_1_to_n_of_single_objects_are_objects(self, drawn, dtype):
        found = found_in([drawn.discs(seed, 9 + seed) for seed in range(6)], as_type=dtype)
        assert (found.encoding.kind, found.encoding.num_classes) == ("instances", 2)

    def test_more_numbers_than_classes_can_be_are_objects(self, drawn):
        """Crops of one large labelled picture: numbers neither start at 1 nor are complete."""
        masks = [drawn.discs(seed, 9) * 37 + 1000 * seed * (drawn.discs(seed, 9) > 0) for seed in range(40)]
        assert found_in(masks, as_type=np.uint16).encoding.kind == "instances"

    def test_organs_that_are_one_piece_each_in_every_image_stay_classes(self, drawn):
        layers = np.repeat(np.arange(10), 7)[:64, None] * np.ones((1, 64), int)
        assert found_in([np.roll(layers, seed, 0) for seed in range(6)]).encoding.kind == "values"

    def test_class_numbers_with_few_classes_per_image_stay_classes(self, drawn):
        """VOC as grey files: twenty classes, one or two objects in an image."""
        rng = np.random.default_rng(0)
        masks = [discs(drawn, seed, [0, *rng.integers(1, 21, 2)], number=2) for seed in range(60)]
        assert found_in(masks).encoding.kind == "values"

    def test_dataset_toml_decides_where_numbers_could_be_either(self, drawn):
        few = [drawn.discs(seed, 3) for seed in range(4)]
        assert found_in(few).encoding.kind == "values"
        assert 'task = "instances"' in found_in([*few, drawn.discs(9, 4)]).evidence[-1]
        assert found_in(few, toml=DatasetToml(task="instances")).encoding.kind == "instances"
        many = [drawn.discs(seed, 9 + seed) for seed in range(6)]
        assert found_in(many, toml=DatasetToml(task="classes")).encoding.num_classes == 15

    def test_a_file_for_each_object_is_objects_by_construction(self, drawn):
        labels = drawn.discs(0, 4)
        files = [RawMask(((labels == label) * 255).astype(np.uint8)) for label in range(1, 5)]
        facts = [look_at_objects(files, "case1/masks")]
        found = find_encoding(facts)
        assert found.encoding.kind == "instances"
        assert encoding_table(facts, found.encoding)[1].share == pytest.approx((labels > 0).mean())


class TestRefusals:
    """What cannot be masks is refused in one sentence."""

    def test_masks_that_are_photographs_are_refused_and_a_swap_is_suspected(self, drawn):
        with pytest.raises(MaskError, match=r"look like photographs: m\d+\.png has 4,\d+ colours.*swapped"):
            found_in([drawn.photograph(seed, size=65) for seed in range(3)])

    def test_one_photograph_among_masks_is_named(self, drawn):
        masks = [coloured(discs(drawn, seed, [0, 1]), [[0, 0, 0], [9, 8, 7]]) for seed in range(9)]
        masks[4] = drawn.photograph(4)
        with pytest.raises(
            MaskError, match=r"1 mask with up to 4,\d+ colours, as photographs have: m004\.png"
        ):
            found_in(masks)

    def test_a_mask_of_3000_colours_is_refused(self, drawn):
        """The colours are drawn areas here, so that it does not look like a photograph."""
        rng = np.random.default_rng(0)
        blocks = rng.integers(0, 256, (55, 55, 3)).astype(np.uint8)
        with pytest.raises(MaskError, match=r"3,0\d\d colours in 1 mask"):
            found_in([np.repeat(np.repeat(blocks, 8, 0), 8, 1)])

    def test_noise_in_which_no_two_pixels_are_equal_is_not_a_thousand_objects(self):
        noise = np.random.default_rng(0).permutation(64 * 64).reshape(64, 64)
        with pytest.raises(MaskError, match="look like photographs"):
            found_in([noise, noise.T], as_type=np.uint16)

    def test_one_mask_of_object_numbers_among_masks_of_classes_is_named(self, drawn):
        masks = [discs(drawn, seed, [0, 255]) for seed in range(20)]
        masks[7] = drawn.discs(7, 14)
        with pytest.raises(
            MaskError, match=r"1 mask with up to 15 values, most of them in no other mask: m007\.png"
        ):
            found_in(masks)

    def test_grey_images_as_masks_are_not_two_hundred_classes(self, drawn):
        with pytest.raises(MaskError, match="look like photographs"):
            found_in([drawn.image_of(drawn.discs(seed), seed) for seed in range(3)])

    @pytest.mark.parametrize("value", [0, 255])
    def test_masks_of_one_value_are_refused(self, value):
        with pytest.raises(MaskError, match=f"3 masks with the single value {value}"):
            found_in([np.full((20, 20), value)] * 3)

    def test_a_list_without_masks_is_refused(self):
        with pytest.raises(MaskError, match="no mask that can be read"):
            find_encoding([])


class TestNames:
    """Names come from a list beside the data where it fits, from dataset.toml in any case."""

    @pytest.mark.parametrize(
        ("values", "names", "expected"),
        [
            ([0, 1, 2], ["sky", "road", "tree"], ("sky", "road", "tree")),
            ([0, 1, 2], ["road", "tree"], ("background", "road", "tree")),
            ([0, 1, 2], ["sky", "road", "tree", "void"], ("sky", "road", "tree")),
            ([0, 1, 3], ["background", "road", "tree", "car"], ("background", "road", "car")),
            ([0, 1, 3], ["road", "tree", "car"], ("road", "tree", "car")),
            ([0, 2, 4], ["road", "tree", "car", "pole"], ("background", "tree", "pole")),
            ([0, 128, 255], ["sky", "road", "tree"], ("sky", "road", "tree")),
            ([0, 1, 2], ["a", "b", "c", "d", "e", "f"], ("background", "class 1", "class 2")),
        ],
    )
    def test_a_list_is_used_where_it_fits(self, drawn, values, names, expected):
        assert found_in([discs(drawn, s, values) for s in range(3)], names=names).encoding.names == expected

    def test_a_list_that_does_not_fit_is_mentioned(self, drawn):
        found = found_in([discs(drawn, seed, [0, 1, 2]) for seed in range(3)], names=list("abcdef"))
        assert "6 listed names do not fit" in " ".join(found.evidence)

    def test_names_in_dataset_toml_win(self, drawn):
        toml = DatasetToml(classes=["ground", "cell"])
        assert found_in([discs(drawn, 0, [0, 9])], names=["x", "y"], toml=toml).encoding.names == (
            "ground",
            "cell",
        )

    def test_names_in_dataset_toml_must_be_as_many_as_values(self, drawn):
        with pytest.raises(MaskError, match="3 class names for 2 values in the masks: 0, 9"):
            found_in([discs(drawn, 0, [0, 9])], toml=DatasetToml(classes=["a", "b", "c"]))


class TestDatasetToml:
    """P1: dataset.toml overrides anything, and is refused where it contradicts the masks."""

    def test_classes_with_values_are_taken_as_given(self, drawn):
        toml = DatasetToml(classes={"cell": [1, 2], "ground": 0}, ignore=[3])
        found = found_in([discs(drawn, seed, [0, 1, 2, 3]) for seed in range(3)], toml=toml)
        assert (found.encoding.names, found.encoding.ignore) == (("cell", "ground"), (3,))
        raw = RawMask(np.array([[0, 1, 2, 3]], np.uint8))
        assert_array_equal(found.encoding.decode(raw), [[1, 0, 0, IGNORE]])

    def test_values_that_it_does_not_name_are_refused_with_their_masks(self, drawn):
        masks = [discs(drawn, 0, [0, 1]), discs(drawn, 1, [0, 2])]
        with pytest.raises(MaskError, match=r"values 2 in 1 mask: m001\.png.*ignore = \[\.\.\.\]"):
            found_in(masks, toml=DatasetToml(classes={"a": 0, "b": 1}))

    def test_blurred_masks_are_read_with_the_classes_that_it_names(self, drawn):
        masks = [jpeg(discs(drawn, seed, [0, 255])) for seed in range(3)]
        found = found_in(masks, toml=DatasetToml(classes={"ground": 0, "cell": 255}), lossy=True)
        assert (found.encoding.snap, found.encoding.names) == (True, ("ground", "cell"))
        with pytest.raises(MaskError, match=r"only the values in dataset\.toml: 0, 1"):
            found_in(masks, toml=DatasetToml(classes={"ground": 0, "cell": 1}), lossy=True)

    def test_colours_name_the_classes_of_colour_masks(self, drawn):
        masks = [coloured(discs(drawn, seed, [0, 1]), [[0, 0, 0], [200, 30, 40]]) for seed in range(2)]
        found = found_in(masks, toml=DatasetToml(classes={"ground": "#000000", "roof": "#c81e28"}))
        assert found.encoding.names == ("ground", "roof")

    def test_numbers_for_colour_masks_are_refused(self, drawn):
        masks = [coloured(discs(drawn, seed, [0, 1]), [[0, 0, 0], [200, 30, 40]]) for seed in range(2)]
        with pytest.raises(MaskError, match="road = '#804080'"):
            found_in(masks, toml=DatasetToml(classes={"ground": 0, "roof": 1}))

    def test_one_value_in_two_classes_is_refused(self, drawn):
        with pytest.raises(ConfigError, match="1 cannot mean two things"):
            found_in([discs(drawn, 0, [0, 1])], toml=DatasetToml(classes={"a": 0, "b": 1, "c": 1}))

    def test_objects_with_values_of_classes_are_refused(self, drawn):
        with pytest.raises(MaskError, match='task = "instances" together with values'):
            found_in([discs(drawn, 0, [0, 1])], toml=DatasetToml(task="instances", classes={"a": 0, "b": 1}))


def test_the_table_tells_value_class_share_and_images(drawn):
    """P1: the decision is shown as a table."""
    half = np.zeros((10, 10), np.uint8)
    half[:5] = 255
    facts = [look_at_mask(RawMask(half), "a"), look_at_mask(RawMask(np.zeros((10, 10), np.uint8)), "b")]
    rows = encoding_table(facts, find_encoding(facts).encoding)
    assert [(row.value, row.class_name, row.share, row.images) for row in rows] == [
        ("0", "background", 0.75, 2),
        ("255", "foreground", 0.25, 1),
    ]
