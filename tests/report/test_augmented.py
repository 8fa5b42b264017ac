"""The report shows what the network saw: patches as they are, and the changes that a training makes."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from changes import only
from drawn import write_discs
from uvala.arrays import IGNORE
from uvala.augment.config import AugmentConfig
from uvala.data.dataset import read_dataset
from uvala.data.normalisation import Normalisation
from uvala.data.patch_config import PatchConfig
from uvala.plan.schema import Plan
from uvala.report.augmented import augmentation_words, augmented_patches
from uvala.report.content import AugmentedPatch
from uvala.report.pictures import palette
from uvala.report.sheet import CELL, FRAME, GAP, WIDE_GAP, contact_sheet, first_column

SCALE = Normalisation(low=(0,), high=(255,))


def plan(augment: AugmentConfig | None = None, **changes) -> Plan:
    return Plan(
        patches=PatchConfig(size=32), normalisation=SCALE, augment=augment or AugmentConfig(), **changes
    )


@pytest.fixture(scope="module")
def dataset(disc_data):
    return read_dataset(disc_data)


@pytest.fixture(scope="module")
def names(dataset):
    return [sample.name for sample in dataset.samples]


def pixels(picture):
    content = base64.b64decode(picture.uri.partition("base64,")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def patch(levels, truth=None, side=CELL):
    """A patch whose versions are flat, one grey level each."""
    images = np.stack([np.full((1, side, side), level, np.uint8) for level in levels])
    truth = np.zeros((side, side), np.uint8) if truth is None else truth
    return AugmentedPatch("a.png", images, np.stack([truth] * len(levels)))


def middles(sheet, row, columns):
    """The grey level in the middle of each patch in a row of a sheet."""
    shown = pixels(sheet)
    centre = FRAME + row * (CELL + GAP) + CELL // 2
    lefts = [FRAME + column * (CELL + GAP) + (WIDE_GAP - GAP) * (column > 0) for column in range(columns)]
    return [int(shown[centre, left + CELL // 2].mean()) for left in lefts]


class TestPatches:
    def test_four_images_are_shown_each_as_it_is_and_five_times_changed(self, dataset, names):
        patches = augmented_patches(dataset, names, plan())
        assert len({each.name for each in patches}) == 4
        assert {each.images.shape for each in patches} == {(6, 1, 32, 32)}
        assert {each.truths.shape for each in patches} == {(6, 32, 32)}

    def test_the_first_is_a_part_of_the_file(self, dataset, names):
        shown = augmented_patches(dataset, names, plan())[0]
        image = dataset.image(dataset.subset([shown.name])[0])
        parts = np.lib.stride_tricks.sliding_window_view(image[0], (32, 32))
        assert shown.images.dtype == image.dtype
        assert (parts == shown.images[0, 0]).all(axis=(2, 3)).any()

    def test_without_augmentation_all_are_as_they_are(self, dataset, names):
        for each in augmented_patches(dataset, names, plan(only())):
            assert (each.images == each.images[:1]).all()
            assert (each.truths == each.truths[:1]).all()

    def test_changed_ones_differ_from_each_other(self, dataset, names):
        for each in augmented_patches(dataset, names, plan(only(noise=0.1))):
            assert len(np.unique(each.images.reshape(6, -1), axis=0)) == 6

    def test_one_image_fills_all_rows_with_different_patches(self, dataset, names):
        patches = augmented_patches(dataset, names[:1], plan(only()))
        assert [each.name for each in patches] == names[:1] * 4
        assert len({each.images[0].tobytes() for each in patches}) > 1

    def test_without_images_there_is_nothing(self, dataset):
        assert augmented_patches(dataset, [], plan()) == []

    def test_something_is_to_be_seen_on_each(self, dataset, names):
        config = plan(only())
        for each in augmented_patches(dataset, names, config):
            assert len(np.unique(each.truths[0][each.truths[0] != IGNORE])) > 1

    @pytest.mark.parametrize("size", [16, 128], ids=["small patches", "larger than the image"])
    def test_patches_of_any_size(self, dataset, names, size):
        config = plan().model_copy(update={"patches": PatchConfig(size=size)})
        assert augmented_patches(dataset, names, config)[0].images.shape == (6, 1, size, size)

    def test_channels_in_reverse_come_back_in_order(self, tmp_path):
        data = write_discs(tmp_path / "data", 2)
        for path in (data / "images").iterdir():
            grey = np.asarray(Image.open(path))
            Image.fromarray(np.stack([grey, grey // 2, 0 * grey], axis=-1)).save(path)
        dataset = read_dataset(data)
        scale = Normalisation(low=(0, 0, 0), high=(255, 128, 10), reverse_channels=True)
        config = plan(only()).model_copy(update={"normalisation": scale})
        shown = augmented_patches(dataset, [sample.name for sample in dataset.samples], config)[0].images[0]
        np.testing.assert_array_equal(shown[1], shown[0] // 2)
        assert (shown[2] == 0).all()


class TestSheet:
    def test_it_has_a_row_for_each_patch_and_room_beside_the_first_column(self):
        sheet = contact_sheet([patch([50, 150, 250])] * 2, palette(("background", "cell")))
        assert sheet.size.height == 2 * FRAME + 2 * CELL + GAP
        assert sheet.size.width == 2 * FRAME + 3 * CELL + WIDE_GAP + GAP

    def test_a_brighter_version_looks_brighter(self):
        sheet = contact_sheet([patch([50, 100, 200]), patch([200, 100, 50])], palette(("a", "b")))
        assert middles(sheet, 0, 3) == pytest.approx([50, 100, 200], abs=3)
        assert middles(sheet, 1, 3) == pytest.approx([200, 100, 50], abs=3)

    def test_outlines_are_drawn_and_ignored_pixels_hatched(self):
        truth = np.zeros((CELL, CELL), np.uint8)
        truth[40:90, 40:90], truth[120:] = 1, IGNORE
        plain = pixels(contact_sheet([patch([100, 100])], palette(("a", "b"))))
        drawn = pixels(contact_sheet([patch([100, 100], truth)], palette(("a", "b"))))
        changed = np.abs(drawn - plain).max(axis=2)[FRAME:, FRAME:][:CELL, :CELL] > 40
        assert changed[40, 41:89].mean() > 0.9
        assert not changed[:38].any()
        assert 0.1 < changed[122:].mean() < 0.6

    @pytest.mark.parametrize("side", [16, 192, 700])
    def test_patches_of_any_size_get_the_same_room(self, side):
        sheet = contact_sheet([patch([80, 160], side=side)], palette(("a", "b")))
        assert sheet.size == (2 * FRAME + CELL, 2 * FRAME + 2 * CELL + WIDE_GAP)
        assert middles(sheet, 0, 2) == pytest.approx([80, 160], abs=3)

    def test_grain_takes_no_more_bytes_than_two_cases(self):
        grain = np.random.default_rng(0).integers(0, 256, (6, 3, 256, 256), dtype=np.uint8)
        truth = np.random.default_rng(0).integers(0, 2, (6, 256, 256), dtype=np.uint8)
        sheet = contact_sheet([AugmentedPatch("a", grain, truth)] * 4, palette(("a", "b")))
        assert len(sheet.uri) < 500_000

    def test_the_heading_of_the_first_column_ends_beside_it(self):
        width = 2 * FRAME + 6 * CELL + WIDE_GAP + 4 * GAP
        assert FRAME + CELL < first_column(6) * width < FRAME + CELL + WIDE_GAP


class TestWords:
    def test_what_never_happens_is_not_told(self):
        assert augmentation_words(only(), 3) == []

    def test_each_change_is_told_with_how_often(self):
        config = only(rotation=15, scale=(0.7, 1.4), noise=0.1, noise_probability=0.25, flip_horizontal=True)
        assert augmentation_words(config, 1) == [
            (
                "Place and shape",
                "mirrored left to right (50%), rotated by up to 15° (100%) "
                "and magnified 0.7 to 1.4 times (100%)",
            ),
            ("Light and sharpness", "noise (25%)"),
        ]

    @pytest.mark.parametrize("change", [name for name in AugmentConfig.model_fields if "_prob" in name])
    def test_every_change_has_its_words(self, change):
        assert len(augmentation_words(only(**{change: 0.5}), 3)) == 1

    @pytest.mark.parametrize("turn", ["flip_horizontal", "flip_vertical", "quarter_turns"])
    def test_so_have_flips_and_turns(self, turn):
        assert len(augmentation_words(only(**{turn: True}), 3)) == 1

    @pytest.mark.parametrize("change", ["scale", "contrast", "gain", "gamma", "low_resolution"])
    def test_a_factor_that_is_always_one_is_no_change(self, change):
        assert augmentation_words(only(**{change: (1.0, 1.0)}), 3) == []

    def test_a_range_of_one_number_is_that_number(self):
        config = only(scale=(0.5, 0.5), blur=(0.7, 0.7), low_resolution=(0.5, 0.5))
        assert augmentation_words(config, 1) == [
            ("Place and shape", "magnified 0.5 times (100%)"),
            ("Light and sharpness", "blurred by 0.7 pixels (100%) and 50% of the resolution (100%)"),
        ]

    def test_grey_images_have_no_tint(self):
        assert augmentation_words(only(colour=0.1), 1) == []


class TestSection:
    def test_the_page_shows_the_sheet_and_says_what_changes(self, make, look):
        page = look(make(augmented=[patch([50, 150])], augmentation=[("Light", "brighter or darker (50%)")]))
        assert "augmented" in page.ids("section")
        assert "brighter or darker (50%)" in page.words
        assert "From a.png." in page.words

    def test_a_plan_that_changes_nothing_says_so(self, make, look):
        assert "this plan changes nothing" in look(make(augmented=[patch([50, 50])])).words

    def test_without_patches_there_is_no_section(self, page):
        assert "augmented" not in page.ids("section")
