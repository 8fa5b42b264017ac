"""A data set is understood by looking at it, or refused in one sentence."""

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from PIL import Image

from uvala.arrays import IGNORE
from uvala.data.dataset import convert_channels, read_dataset
from uvala.errors import ConfigError, DataError, LayoutError, MaskError, ShapeError, SplitError, UvalaError


def mask_of(drawn, seed, value=255):
    return ((drawn.discs(seed) > 0) * value).astype(np.uint8)


class TestUnderstood:
    """What is read is what was drawn."""

    @pytest.mark.parametrize("value", [1, 255, 40])
    def test_images_and_class_maps_are_those_that_were_drawn(self, drawn, value):
        """P1: the class count is never typed."""
        drawn.pairs(3, value=value)
        dataset = read_dataset(drawn.root)
        sample = dataset.samples[1]
        assert_array_equal(dataset.image(sample)[0], drawn.image_of(drawn.discs(1), 1))
        assert_array_equal(dataset.classes(sample), drawn.discs(1) > 0)
        assert dataset.instances(sample) is None
        assert (len(dataset), dataset.channels, dataset.dtype, dataset.encoding.num_classes) == (
            3,
            1,
            "uint8",
            2,
        )

    def test_images_of_any_sizes_belong_together(self, drawn):
        """P5: images of different sizes."""
        for size in (32, 64, 80):
            labels = drawn.discs(0, 3, size)
            drawn.pair(f"{size}", drawn.image_of(labels, size), ((labels > 0) * 255).astype(np.uint8))
        dataset = read_dataset(drawn.root)
        assert dataset.sizes == {"32.png": (32, 32), "64.png": (64, 64), "80.png": (80, 80)}
        assert (dataset.facts.smallest, dataset.facts.median, dataset.facts.largest) == (
            (32, 32),
            (64, 64),
            (80, 80),
        )

    @pytest.mark.parametrize(
        ("channels", "dtype", "suffix"),
        [
            (1, "uint16", ".png"),
            (3, "uint8", ".jpg"),
            (4, "float32", ".tif"),
            (7, "uint16", ".tif"),
            (2, "int16", ".npy"),
        ],
        ids=str,
    )
    def test_channels_and_number_format_come_from_the_files(self, drawn, channels, dtype, suffix):
        """P6: grey, RGB, panchromatic, multi-spectral, 16 bits and floats."""
        drawn.pairs(2)
        for seed in range(2):
            (drawn.root / f"images/s{seed:02d}.png").unlink()
            array = np.random.default_rng(seed).integers(0, 250, (64, 64, channels)).astype(dtype)
            path = drawn.root / f"images/s{seed:02d}{suffix}"
            if suffix == ".tif":
                tifffile.imwrite(
                    path, array.transpose(2, 0, 1), photometric="minisblack", metadata={"axes": "CYX"}
                )
            else:
                drawn.save(str(path.relative_to(drawn.root)), array[..., 0] if channels == 1 else array)
        dataset = read_dataset(drawn.root)
        assert (dataset.channels, dataset.dtype) == (channels, dtype)
        assert dataset.image(dataset.samples[0]).shape == (channels, 64, 64)

    def test_void_pixels_are_ignored(self, drawn):
        """P4: VOC masks with a void border."""
        palette = np.zeros((256, 3), np.uint8)
        palette[1], palette[2], palette[255] = (128, 0, 0), (0, 128, 0), (224, 224, 192)
        for seed in range(3):
            mask = (drawn.discs(seed) % 3).astype(np.uint8)
            mask[:2] = 255
            drawn.pair(f"s{seed}", drawn.photograph(seed), mask, palette=palette)
        dataset = read_dataset(drawn.root)
        classes = dataset.classes(dataset.samples[0])
        assert (dataset.encoding.names, set(classes[:2].ravel())) == (
            ("background", "class 1", "class 2"),
            {IGNORE},
        )
        assert dataset.facts.ignored == pytest.approx(2 / 64)

    def test_object_numbers_stay_available(self, drawn):
        for seed in range(4):
            labels = drawn.discs(seed, 9 + seed)
            drawn.pair(f"s{seed}", drawn.image_of(labels, seed), labels.astype(np.uint16))
        dataset = read_dataset(drawn.root)
        assert_array_equal(dataset.instances(dataset.samples[2]), drawn.discs(2, 11))
        assert_array_equal(dataset.classes(dataset.samples[2]), drawn.discs(2, 11) > 0)

    def test_a_file_per_object_becomes_numbered_objects(self, drawn):
        for case in range(3):
            labels = drawn.discs(case, 4)
            drawn.save(f"case{case}/images/case{case}.png", drawn.image_of(labels, case))
            for number in range(1, 5):
                drawn.save(f"case{case}/masks/{number}.png", ((labels == number) * 255).astype(np.uint8))
        dataset = read_dataset(drawn.root)
        assert_array_equal(dataset.instances(dataset.samples[1]), drawn.discs(1, 4))
        assert_array_equal(dataset.classes(dataset.samples[1]), drawn.discs(1, 4) > 0)

    def test_pages_of_two_stacks_are_pairs(self, drawn):
        drawn.root.mkdir(parents=True)
        labels = np.stack([drawn.discs(seed) for seed in range(5)])
        images = np.stack([drawn.image_of(each, seed) for seed, each in enumerate(labels)])
        tifffile.imwrite(drawn.root / "train-volume.tif", images, photometric="minisblack")
        tifffile.imwrite(
            drawn.root / "train-labels.tif", ((labels > 0) * 255).astype(np.uint8), photometric="minisblack"
        )
        dataset = read_dataset(drawn.root)
        assert len(dataset) == 5
        assert_array_equal(dataset.classes(dataset.samples[3]), labels[3] > 0)

    def test_samples_are_in_the_order_in_which_people_count(self, drawn):
        for number in (10, 2, 1):
            drawn.pair(f"{number}", drawn.photograph(number), mask_of(drawn, number))
        dataset = read_dataset(drawn.root)
        assert [sample.name for sample in dataset.samples] == ["1.png", "2.png", "10.png"]

    def test_a_subset_keeps_that_order_and_refuses_strangers(self, drawn):
        drawn.pairs(4)
        dataset = read_dataset(drawn.root)
        assert [each.name for each in dataset.subset(["s03.png", "s01.png"])] == ["s01.png", "s03.png"]
        with pytest.raises(SplitError, match="no image nobody"):
            dataset.subset(["nobody"])

    def test_grey_and_rgb_become_one_where_dataset_toml_says_so(self, drawn):
        """P6: grey pictures of which some were saved as RGB."""
        drawn.pairs(3)
        grey = drawn.image_of(drawn.discs(1), 1)
        drawn.save("images/s01.png", np.stack([grey] * 3, axis=-1))
        (drawn.root / "dataset.toml").write_text("channels = 1")
        dataset = read_dataset(drawn.root)
        assert (dataset.channels, dataset.channels_wanted) == (1, 1)
        assert_array_equal(dataset.image(dataset.samples[1])[0], grey)

    def test_what_was_noticed_is_noted(self, drawn):
        drawn.pairs(3)
        drawn.save("images/alone.png", drawn.photograph(0))
        notes = " ".join(read_dataset(drawn.root).notes)
        assert "3 masks hold the values 0, 255: 2 classes" in notes
        assert "alone.png" in notes

    @pytest.mark.parametrize("orientation", [3, 6, 8])
    def test_a_photograph_with_exif_fits_the_mask_drawn_on_what_people_see(self, drawn, orientation):
        """P11: orientation is applied once, at load."""
        drawn.pairs(2)
        seen = np.zeros((40, 64, 3), np.uint8)
        seen[5:15, 8:40] = 220
        mask = (seen[..., 0] > 0).astype(np.uint8) * 255
        stored = np.rot90(seen, {3: 2, 6: 1, 8: 3}[orientation])  # as the camera was held
        exif = Image.Exif()
        exif[274] = orientation
        for seed in range(2):
            (drawn.root / f"images/s{seed:02d}.png").unlink()
            path = drawn.root / f"images/s{seed:02d}.jpg"
            Image.fromarray(stored).save(path, exif=exif, quality=95, subsampling=0)
            drawn.save(f"masks/s{seed:02d}.png", mask)
        dataset = read_dataset(drawn.root)
        bright = dataset.image(dataset.samples[0])[0] > 110
        assert_array_equal(bright, dataset.classes(dataset.samples[0]) == 1)


class TestTrainedEncoding:
    """For a trained network, its own encoding holds, not what other masks suggest."""

    def test_one_pair_is_enough_to_score(self, drawn):
        drawn.pairs(3)
        encoding = read_dataset(drawn.root).encoding
        for seed in (1, 2):
            (drawn.root / f"images/s{seed:02d}.png").unlink()
            (drawn.root / f"masks/s{seed:02d}.png").unlink()
        drawn.save("masks/s00.png", np.zeros((64, 64), np.uint8))
        assert read_dataset(drawn.root, encoding=encoding).encoding == encoding

    def test_masks_in_another_encoding_are_refused_by_name(self, drawn):
        """P1: trained on 0/255, scored on 0/1."""
        drawn.pairs(3)
        encoding = read_dataset(drawn.root).encoding
        drawn.save("masks/s01.png", mask_of(drawn, 1, value=1))
        with pytest.raises(MaskError, match=r"value 1 in 1 mask: masks/s01\.png; .* 255 \(foreground\)"):
            read_dataset(drawn.root, encoding=encoding)

    @pytest.mark.parametrize(("learnt", "here"), [(255, 1), (1, 255)])
    def test_two_classes_spelt_otherwise_in_all_masks_are_the_same_two(self, drawn, learnt, here):
        """P1: trained on 0/255, scored on 0/1 throughout."""
        drawn.pairs(3, value=learnt)
        encoding = read_dataset(drawn.root).encoding
        drawn.pairs(3, value=here)
        dataset = read_dataset(drawn.root, encoding=encoding)
        np.testing.assert_array_equal(dataset.classes(dataset.samples[0]), drawn.discs(0) > 0)
        assert f"{here} is taken as foreground, which was {learnt} there" in dataset.notes[1]
        assert dataset.encoding.encode(np.ones((1, 1), np.uint8)) == learnt

    def test_so_they_are_where_the_nearest_value_would_be_background(self, drawn):
        """1 is nearer to 0 than to 255."""
        drawn.pairs(3)
        encoding = read_dataset(drawn.root).encoding.model_copy(update={"snap": True})
        drawn.pairs(3, value=1)
        dataset = read_dataset(drawn.root, encoding=encoding)
        assert dataset.classes(dataset.samples[0]).max() == 1

    @pytest.mark.parametrize("other", [7, 254], ids=str)
    def test_any_other_value_is_not(self, drawn, other):
        drawn.pairs(3)
        encoding = read_dataset(drawn.root).encoding
        drawn.pairs(3, value=other)
        with pytest.raises(MaskError, match=f"value {other} in 3 masks"):
            read_dataset(drawn.root, encoding=encoding)

    def test_strange_colours_are_written_as_colours(self, drawn):
        drawn.pairs(3)
        encoding = read_dataset(drawn.root).encoding
        drawn.save("masks/s01.png", np.full((64, 64, 3), (0, 255, 255), np.uint8))
        with pytest.raises(MaskError, match=r"value #00ffff in 1 mask: .*save these masks with the number"):
            read_dataset(drawn.root, encoding=encoding)

    def test_images_are_converted_as_in_training(self, drawn):
        drawn.pairs(2)
        dataset = read_dataset(drawn.root, channels=3)
        assert (dataset.channels, dataset.image(dataset.samples[0]).shape) == (3, (3, 64, 64))


class TestRefused:
    """Each bad input gets one sentence: what was found, where, what was expected, what to do."""

    @pytest.mark.parametrize(
        "make", [lambda root: None, lambda root: root.mkdir()], ids=["no folder", "empty folder"]
    )
    def test_no_data(self, tmp_path, make):
        make(tmp_path / "data")
        with pytest.raises(LayoutError, match="data"):
            read_dataset(tmp_path / "data")

    def test_no_pairs(self, drawn):
        """P8: names that do not fit."""
        drawn.save("images/a.png", drawn.photograph(0))
        drawn.save("masks/b.png", mask_of(drawn, 0))
        with pytest.raises(DataError, match=r"a\.png|b\.png"):
            read_dataset(drawn.root)

    def test_one_image_only(self, drawn):
        drawn.pairs(1)
        with pytest.raises(DataError, match=r"1 pair of image and mask in .*expected 2 pairs at least"):
            read_dataset(drawn.root)

    def test_all_masks_empty(self, drawn):
        drawn.pairs(3, value=0)
        with pytest.raises(MaskError, match="3 masks with the single value 0, so all of them are empty"):
            read_dataset(drawn.root)

    def test_masks_with_3000_colours(self, drawn):
        for seed in range(2):
            drawn.pair(f"s{seed}", drawn.photograph(seed), drawn.photograph(seed + 9, size=64))
        with pytest.raises(MaskError, match=r"masks/s\d\.png has 4,0\d\d colours"):
            read_dataset(drawn.root)

    def test_an_image_of_one_pixel(self, drawn):
        drawn.pairs(2)
        drawn.pair("dot", np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))
        with pytest.raises(DataError, match=r"1 image of 1x1 pixels: images/dot\.png; expected 8 pixels"):
            read_dataset(drawn.root)

    def test_different_channel_counts(self, drawn):
        """P6: the fix is in the message."""
        drawn.pairs(3)
        drawn.save("images/s01.png", drawn.photograph(1))
        with pytest.raises(DataError, match=r"1 in 2, 3 in 1: images/s01\.png; .*`channels = 1`"):
            read_dataset(drawn.root)

    def test_channels_that_cannot_be_converted(self, drawn):
        drawn.pairs(2)
        (drawn.root / "images/s01.png").unlink()
        array = np.zeros((2, 64, 64), np.uint8)
        tifffile.imwrite(
            drawn.root / "images/s01.tif", array, photometric="minisblack", metadata={"axes": "CYX"}
        )
        (drawn.root / "dataset.toml").write_text("channels = 3")
        with pytest.raises(DataError, match=r"channels: 2 in 1: images/s01\.tif"):
            read_dataset(drawn.root)

    def test_truncated_files(self, drawn):
        """P14: nine broken files are one message that names five."""
        drawn.pairs(9)
        for path in (drawn.root / "images").iterdir():
            path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(
            DataError, match=r"9 files that cannot be read.*s00\.png.*s04\.png and 4 more"
        ) as caught:
            read_dataset(drawn.root)
        assert "\n" not in str(caught.value)

    def test_masks_of_another_size(self, drawn):
        drawn.pairs(9)
        for seed in range(9):
            drawn.save(f"masks/s{seed:02d}.png", mask_of(drawn, seed)[:50])
        with pytest.raises(
            DataError,
            match=r"9 masks of another size than the image \(the first 64x50 for 64x64\).*and 4 more",
        ):
            read_dataset(drawn.root)

    def test_fractions_as_masks(self, drawn):
        drawn.pairs(2)
        (drawn.root / "masks/s01.png").unlink()
        np.save(drawn.root / "masks/s01.npy", np.random.default_rng(0).random((64, 64)))
        with pytest.raises(DataError, match=r"1 file that cannot be read.*masks/s01\.npy"):
            read_dataset(drawn.root)

    def test_several_kinds_of_errors_are_counted(self, drawn):
        drawn.pairs(4)
        drawn.save("masks/s01.png", mask_of(drawn, 1)[:50])
        drawn.save("images/s02.png", drawn.photograph(2))
        with pytest.raises(DataError, match="1 more error, see `uvala check`"):
            read_dataset(drawn.root)

    def test_a_wrong_dataset_toml(self, drawn):
        drawn.pairs(2)
        (drawn.root / "dataset.toml").write_text("chanels = 1")
        with pytest.raises(ConfigError, match="did you mean 'channels'"):
            read_dataset(drawn.root)

    def test_every_refusal_is_one_line(self, drawn):
        drawn.pairs(3)
        drawn.save("masks/s01.png", mask_of(drawn, 1, value=1))
        with pytest.raises(UvalaError) as caught:
            read_dataset(drawn.root)
        assert "\n" not in str(caught.value)


class TestChannels:
    """P6: grey and RGB become each other, and nothing else does."""

    def test_grey_that_was_saved_as_rgb_comes_back_unchanged(self):
        grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
        assert_array_equal(convert_channels(np.repeat(grey, 3, axis=0), 1), grey)
        assert_array_equal(convert_channels(grey, 3), np.repeat(grey, 3, axis=0))

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    def test_the_number_format_stays(self, dtype):
        assert convert_channels(np.ones((3, 4, 4), dtype), 1).dtype == dtype

    def test_other_conversions_are_refused(self):
        with pytest.raises(ShapeError, match="4 channels"):
            convert_channels(np.zeros((4, 5, 5)), 3)


class TestFacts:
    """What the plan is made from is what NumPy finds in the arrays."""

    def test_levels_and_shares(self, drawn):
        drawn.pairs(5)
        facts = read_dataset(drawn.root).facts
        images = np.stack([drawn.image_of(drawn.discs(seed), seed) for seed in range(5)])
        truth = np.stack([drawn.discs(seed) > 0 for seed in range(5)])
        assert facts.mean[0] == pytest.approx(images.mean())
        assert facts.std[0] == pytest.approx(images.std())
        assert facts.class_shares == pytest.approx((1 - truth.mean(), truth.mean()))
        assert (facts.images, facts.class_images, facts.alike) == (5, (5, 5), False)

    def test_brightness_spread_is_the_ratio_of_bright_to_dim_images(self, drawn):
        """P6: a microscope's exposures differ."""
        for seed in range(40):
            factor = 1.0 if seed % 2 else 0.1
            image = (drawn.image_of(drawn.discs(seed), seed) * factor).astype(np.uint8)
            drawn.pair(f"s{seed:02d}", image, mask_of(drawn, seed))
        assert read_dataset(drawn.root).facts.brightness_spread == pytest.approx(10, rel=0.15)

    def test_facts_of_the_training_part_do_not_see_the_rest(self, drawn):
        """P10: what is held out does not set the scale either."""
        drawn.pairs(4)
        drawn.save("images/s03.png", np.full((64, 64), 255, np.uint8))
        dataset = read_dataset(drawn.root)
        assert (
            dataset.facts_of(dataset.samples[:3]).high[0]
            < 250
            < dataset.facts_of(dataset.samples[3:]).high[0]
        )
