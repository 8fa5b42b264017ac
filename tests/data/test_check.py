"""The mask doctor names what is wrong, in which files, and what to do; on sound data it is silent."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image

from uvala.data.check import check

EXIF_ORIENTATION = 274


@pytest.fixture
def sound(drawn):
    """Eight pairs without a flaw, each a lossless copy of what was drawn."""
    drawn.pairs(8)
    return drawn


def findings(drawn):
    report = check(drawn.root)
    return {finding.kind: finding for finding in report.findings}


def mask_of(drawn, seed, value=255):
    return ((drawn.discs(seed) > 0) * value).astype(np.uint8)


def as_jpeg(path, array, orientation=1, **options):
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    Image.fromarray(array).save(path, exif=exif, **options)


class TestSoundData:
    """Nothing is found where nothing is wrong."""

    def test_sound_data_have_no_findings_and_a_table(self, sound):
        report = check(sound.root)
        assert report.findings == ()
        assert [(row.value, row.class_name, row.images) for row in report.table] == [
            ("0", "background", 8),
            ("255", "foreground", 8),
        ]
        assert (report.samples, report.encoding.num_classes) == (8, 2)

    @pytest.mark.parametrize("name", ["isbi2012", "dsb2018"])
    def test_real_data_without_flaws_have_no_findings(self, shared, name):
        assert check(shared / "data" / name).findings == ()

    def test_frames_in_standing_traffic_are_all_that_is_found_in_camvid(self, shared):
        """P4: palette PNGs with a void; eleven classes with their names, without a word of configuration."""
        report = check(shared / "data" / "camvid_voc")
        assert [finding.kind for finding in report.findings] == ["near-duplicates"]
        assert report.encoding.names[:3] == ("sky", "building", "pole")
        assert report.encoding.ignore == (255,)

    def test_the_report_is_plain_json_with_every_file(self, sound):
        for seed in range(8):
            sound.save(f"masks/s{seed:02d}.png", np.zeros((64, 64), np.uint8)) if seed > 1 else None
        content = json.loads(json.dumps(check(sound.root).to_json(), allow_nan=False))
        assert len(content["findings"][0]["files"]) == 6
        assert content["table"][0]["class_name"] == "background"

    def test_progress_is_told_sample_by_sample(self, sound):
        told = []
        check(sound.root, progress=lambda done, total: told.append((done, total)))
        assert told == [(done, 8) for done in range(1, 9)]


class TestFiles:
    """Files that are missing, broken, or unlike the others."""

    def test_files_without_a_partner_are_named(self, sound):
        """P8: pairing by name, and a list of what did not pair."""
        sound.save("images/alone.png", sound.photograph(0))
        sound.save("masks/lost.png", mask_of(sound, 0))
        found = findings(sound)["unpaired"]
        assert (found.severity, set(found.files)) == ("warning", {"images/alone.png", "masks/lost.png"})

    def test_broken_files_are_one_finding_that_names_all(self, sound):
        """P14: no traceback from some worker, but the files."""
        for name in ("images/s01.png", "masks/s03.png"):
            path = sound.root / name
            path.write_bytes(path.read_bytes()[:-40])
        (sound.root / "masks/s05.png").write_bytes(b"")
        found = findings(sound)["unreadable"]
        assert (found.severity, found.files) == (
            "error",
            ("images/s01.png", "masks/s03.png", "masks/s05.png"),
        )
        assert "3 files that cannot be read" in found.found

    def test_masks_of_another_size_are_named(self, sound):
        sound.save("masks/s02.png", mask_of(sound, 2)[:60])
        found = findings(sound)["size-mismatch"]
        assert found.files == ("masks/s02.png",)
        assert "(64x60 for 64x64)" in found.found
        assert "rotated" not in found.found

    def test_a_mask_with_its_sides_swapped_looks_rotated(self, sound):
        """P11: mask and photo disagree by a quarter turn."""
        sound.pair("s02", sound.photograph(2)[:40], mask_of(sound, 2)[:40].T)
        found = findings(sound)["size-mismatch"]
        assert "as if rotated by a quarter turn" in found.found
        assert "rotate these masks by 90 degrees" in found.fix

    def test_a_photograph_turned_by_exif_is_blamed_on_exif(self, sound):
        """P11: EXIF rotation makes mask and photo disagree."""
        (sound.root / "images/s02.png").unlink()
        as_jpeg(sound.root / "images/s02.jpg", sound.photograph(2)[:40], orientation=6)
        sound.save("masks/s02.png", mask_of(sound, 2)[:40])
        assert "EXIF orientation" in findings(sound)["size-mismatch"].fix

    @pytest.mark.parametrize(
        ("height", "orientation", "told"), [(64, 6, True), (40, 3, True), (40, 1, False)]
    )
    def test_turned_photographs_whose_masks_fit_either_way_are_noted(self, sound, height, orientation, told):
        """P11: upside down or square, the size alone cannot tell."""
        (sound.root / "images/s02.png").unlink()
        as_jpeg(sound.root / "images/s02.jpg", sound.photograph(2)[:height, :, 0], orientation)
        sound.save("masks/s02.png", mask_of(sound, 2)[:height])
        assert ("exif" in findings(sound)) == told

    def test_images_of_other_channels_are_named_with_the_way_out(self, sound):
        """P6: grey and RGB in one set."""
        sound.save("images/s04.png", sound.photograph(4))
        found = findings(sound)["channels"]
        assert (found.severity, found.files) == ("error", ("images/s04.png",))
        assert "`channels = 1`" in found.fix
        (sound.root / "dataset.toml").write_text("channels = 1")
        assert "channels" not in findings(sound)

    def test_images_of_another_number_format_are_named(self, sound):
        """P6: 16-bit among 8-bit."""
        sound.save("images/s04.png", sound.photograph(4, channels=1)[..., 0].astype(np.uint16) * 257)
        found = findings(sound)["dtype"]
        assert (found.severity, found.files) == ("warning", ("images/s04.png",))

    def test_pixels_that_are_no_numbers_are_named(self, drawn):
        for seed in range(4):
            image = drawn.image_of(drawn.discs(seed), seed).astype(np.float32)
            image[3, 3] = np.nan if seed == 2 else 0
            drawn.save(f"images/s{seed}.npy", image)
            drawn.save(f"masks/s{seed}.png", mask_of(drawn, seed))
        assert findings(drawn)["not-finite"].files == ("images/s2.npy",)

    def test_constant_and_tiny_images_are_named(self, sound):
        sound.save("images/s01.png", np.full((64, 64), 9, np.uint8))
        sound.pair("s02", np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))
        found = findings(sound)
        assert "images/s01.png" in found["constant-image"].files
        assert (found["tiny-image"].severity, found["tiny-image"].files) == ("error", ("images/s02.png",))

    def test_thin_images_are_a_warning_and_all_sizes_are_told(self, sound):
        sound.pair("s01", sound.photograph(1)[:5], mask_of(sound, 1)[:5])
        sound.pair("s02", sound.photograph(2)[:, :2], mask_of(sound, 2)[:, :2])
        found = findings(sound)
        assert (found["thin-image"].severity, "tiny-image" in found) == ("warning", False)
        assert "2 images of 2x64 to 64x5 pixels" in found["thin-image"].found

    def test_an_image_without_one_number_is_an_error(self, drawn):
        drawn.pairs(3)
        drawn.save("images/s01.npy", np.full((64, 64), np.nan, np.float32))
        (drawn.root / "images/s01.png").unlink()
        found = findings(drawn)
        assert (found["blank-image"].severity, found["blank-image"].files) == ("error", ("images/s01.npy",))
        assert not {"not-finite", "constant-image"} & found.keys()

    def test_stacks_of_different_lengths_are_one_sentence(self, drawn):
        for name, pages in (("volume", 8), ("labels", 6)):
            drawn.root.mkdir(exist_ok=True)
            stack = np.zeros((pages, 64, 64), np.uint8)
            tifffile.imwrite(drawn.root / f"train-{name}.tif", stack, photometric="minisblack")
        found = findings(drawn)
        assert found["page-counts"].found == "8 pages in train-volume.tif, but 6 in train-labels.tif"
        assert not {"unreadable", "reading"} & found.keys()

    def test_a_table_that_names_images_but_is_no_manifest_is_told(self, sound):
        (sound.root / "list.csv").write_text("filename,label\nimages/s00.png,masks/s00.png\n")
        found = findings(sound)["unpaired"]
        assert found.files == ("list.csv",)
        assert "first line is filename, label, not image,mask[,group][,split]" in found.found

    def test_names_that_differ_only_in_case_collide(self, sound):
        labels = sound.discs(20)
        sound.pair("S01", sound.image_of(labels, 20), mask_of(sound, 20))
        assert findings(sound)["colliding-names"].groups == (("S01.png", "s01.png"),)

    def test_dropped_alpha_is_noted(self, sound):
        """P6: RGBA."""
        for seed in range(8):
            sound.save(f"images/s{seed:02d}.png", sound.photograph(seed, channels=4))
        found = findings(sound)["reading"]
        assert (found.severity, len(found.files)) == ("note", 8)
        assert "alpha channel dropped" in found.found

    def test_a_drawing_that_only_alpha_holds_asks_for_something(self, sound):
        for seed in range(8):
            alpha = mask_of(sound, seed)
            sound.save(f"masks/s{seed:02d}.png", np.dstack([np.full((64, 64, 3), 200, np.uint8), alpha]))
        found = findings(sound)["reading"]
        assert (found.severity, found.fix) == ("warning", "save the mask as opaque colours")


class TestMasks:
    """Masks that can be read, but should be looked at."""

    def test_masks_saved_as_jpeg_are_named(self, drawn):
        """P9: JPEG masks are read as the nearest class, and told."""
        for seed in range(4):
            drawn.save(f"images/s{seed}.png", drawn.image_of(drawn.discs(seed), seed))
            drawn.save(f"masks/s{seed}.jpg", mask_of(drawn, seed), quality=80)
        report = check(drawn.root)
        assert [finding.kind for finding in report.findings] == ["jpeg-mask"]
        assert report.findings[0].files == tuple(f"masks/s{seed}.jpg" for seed in range(4))
        assert [row.value for row in report.table] == ["0", "255"]

    def test_smoothed_masks_are_named(self, sound):
        smooth = Image.fromarray(mask_of(sound, 3)).resize((100, 100), 2).resize((64, 64), 2)
        smooth.save(sound.root / "masks/s03.png")
        assert findings(sound)["smoothed-mask"].files == ("masks/s03.png",)

    def test_a_value_that_a_few_pixels_of_one_mask_hold_is_named(self, drawn):
        drawn.pairs(24)
        mask = mask_of(drawn, 7)
        mask[0, :3] = 77
        drawn.save("masks/s07.png", mask)
        found = findings(drawn)["stray-value"]
        assert (found.severity, found.files) == ("warning", ("masks/s07.png",))
        assert "value 77 on 3 pixels of 1 mask" in found.found

    def test_values_outside_dataset_toml_are_an_error_with_the_mask(self, sound):
        """P1: values outside the classes are told before a training, not by a crash in it."""
        (sound.root / "dataset.toml").write_text("[classes]\nbackground = 0\ncell = 1")
        found = findings(sound)["masks"]
        assert found.severity == "error"
        assert "values 255 in 8 masks: masks/s00.png" in found.found

    def test_two_spellings_are_an_error(self, sound):
        """P1: 0/1 in some masks, 0/255 in others."""
        sound.save("masks/s03.png", mask_of(sound, 3, value=1))
        assert "two spellings: 0 and 1 in 1 mask, such as masks/s03.png" in findings(sound)["masks"].found

    def test_empty_and_full_masks_are_counted(self, sound):
        sound.save("masks/s03.png", np.zeros((64, 64), np.uint8))
        sound.save("masks/s05.png", np.full((64, 64), 255, np.uint8))
        found = findings(sound)
        assert found["empty-mask"].files == ("masks/s03.png",)
        assert "1 mask (12%) with nothing but background" in found["empty-mask"].found
        assert found["one-class-mask"].files == ("masks/s05.png",)

    def test_masks_without_a_labelled_pixel_are_named(self, sound):
        (sound.root / "dataset.toml").write_text("ignore = [9]")
        sound.save("masks/s03.png", np.full((64, 64), 9, np.uint8))
        assert findings(sound)["ignored-mask"].files == ("masks/s03.png",)

    def test_a_class_that_no_mask_shows_is_named(self, sound):
        (sound.root / "dataset.toml").write_text("[classes]\nbackground = 0\ncell = 255\ndust = 7")
        assert "1 class that no mask contains: dust" in findings(sound)["absent-class"].found

    @pytest.mark.parametrize(("number", "told"), [(7, True), (4, False)])
    def test_as_many_single_pieces_in_every_mask_may_be_objects(self, drawn, number, told):
        for seed in range(4):
            labels = drawn.discs(seed, number)
            drawn.pair(f"s{seed}", drawn.image_of(labels, seed), labels.astype(np.uint8))
        assert ("perhaps-objects" in findings(drawn)) is told
        (drawn.root / "dataset.toml").write_text('task = "classes"')
        assert "perhaps-objects" not in findings(drawn)

    def test_objects_drawn_over_each_other_are_named(self, drawn):
        for case in ("c1", "c2"):
            labels = drawn.discs(int(case[1]))
            drawn.save(f"{case}/images/{case}.png", drawn.image_of(labels, 1))
            for number in (1, 2):
                drawn.save(f"{case}/masks/{number}.png", ((labels == number) * 255).astype(np.uint8))
        drawn.save("c2/masks/again.png", ((drawn.discs(2) == 1) * 255).astype(np.uint8))
        assert findings(drawn)["overlapping-objects"].files == ("c2/masks",)


class TestDuplicates:
    """P10: leakage, the same image on both sides."""

    def copy(self, drawn, source, name, factor=1.0):
        image = np.asarray(Image.open(drawn.root / f"images/{source}.png"))
        mask = np.asarray(Image.open(drawn.root / f"masks/{source}.png"))
        drawn.pair(name, np.clip(image * factor, 0, 255).astype(np.uint8), mask)

    def test_copies_are_grouped(self, sound):
        self.copy(sound, "s03", "t03")
        found = findings(sound)["duplicates"]
        assert (found.severity, found.groups) == ("warning", (("s03.png", "t03.png"),))

    def test_copies_with_another_mask_are_worse(self, sound):
        self.copy(sound, "s03", "t03")
        sound.save("masks/t03.png", mask_of(sound, 4))
        assert "the masks of 1 group differ" in findings(sound)["duplicates"].found

    def test_near_copies_are_noted(self, sound):
        self.copy(sound, "s03", "t03", factor=0.7)
        found = findings(sound)["near-duplicates"]
        assert (found.severity, found.groups) == ("note", (("s03.png", "t03.png"),))

    @pytest.mark.parametrize(
        ("factor", "kind", "severity"),
        [(1.0, "duplicates-across-split", "error"), (0.7, "near-duplicates-across-split", "warning")],
    )
    def test_copies_on_two_sides_of_a_split_are_named_with_their_sides(self, sound, factor, kind, severity):
        self.copy(sound, "s03", "t03", factor)
        lists = {"train": [f"s{n:02d}" for n in range(8)], "test": ["t03"]}
        (sound.root / "split.json").write_text(json.dumps(lists))
        found = findings(sound)[kind]
        assert (found.severity, found.groups) == (severity, (("s03.png (train)", "t03.png (test)"),))

    def test_a_split_that_does_not_fit_is_an_error(self, sound):
        (sound.root / "split.json").write_text('{"train": ["nobody"]}')
        assert findings(sound)["split"].severity == "error"


class TestSplit:
    """A split that somebody decided is told, with what is wrong in it."""

    def test_its_origin_and_numbers_are_told(self, sound):
        assert not any("split" in sentence for sentence in check(sound.root).evidence)
        (sound.root / "split.json").write_text('{"train": ["s00", "s01", "s02"], "val": ["s03"]}')
        assert check(sound.root).evidence[-1] == "split: lists of names in split.json, 3 in train, 1 in val"

    def test_a_group_on_two_sides_is_named(self, sound):
        rows = [f"images/s0{n}.png,masks/s0{n}.png,p,{side}" for n, side in enumerate(("train", "dev"))]
        (sound.root / "list.csv").write_text("\n".join(["image,mask,group,split", *rows]))
        found = findings(sound)["group-across-split"]
        assert (found.severity, found.groups) == ("warning", (("s00.png (train)", "s01.png (val)"),))
        assert "split 'dev' read as val" in check(sound.root).evidence[0]


class TestRefusals:
    """Whatever the data are, the doctor returns: a refusal is a finding as well."""

    @pytest.mark.parametrize(
        ("text", "kind"),
        [("clases = 3", "config"), ("classes = ['a', 'b', 'c']", "masks"), ("x = [", "config")],
    )
    def test_a_wrong_dataset_toml_is_a_finding(self, sound, text, kind):
        (sound.root / "dataset.toml").write_text(text)
        report = check(sound.root)
        assert [finding.kind for finding in report.errors] == [kind]

    def test_no_data_are_a_finding(self, tmp_path):
        assert [finding.kind for finding in check(tmp_path / "nowhere").errors] == ["layout"]
        assert [finding.kind for finding in check(tmp_path).errors] == ["layout"]

    def test_swapped_folders_are_suspected(self, sound):
        """P8: images in masks/ and masks in images/."""
        (sound.root / "images").rename(sound.root / "x")
        (sound.root / "masks").rename(sound.root / "images")
        (sound.root / "x").rename(sound.root / "masks")
        found = findings(sound)["swapped"]
        assert found.severity == "error"
        assert "images with at most 2 values, and masks with up to 1" in found.found

    def test_everything_at_once_is_still_a_report(self, sound):
        (sound.root / "masks/s00.png").write_bytes(b"nothing")
        sound.save("masks/s01.png", mask_of(sound, 1)[:9])
        sound.save("images/s02.png", sound.photograph(2))
        sound.save("masks/s03.png", np.zeros((64, 64), np.uint8))
        kinds = [finding.kind for finding in check(sound.root).findings]
        assert kinds == ["unreadable", "size-mismatch", "channels", "empty-mask"]
