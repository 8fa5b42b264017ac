"""Images and masks in folders, as people have them."""

import numpy as np
import PIL.Image
import pytest

from uvala.data.layouts import recognise


def pairs(root):
    """What was paired, as {name of the image: name of the mask}, both within the data set."""
    return {
        sample.image.path.relative_to(root).as_posix(): sample.mask.path.relative_to(root).as_posix()
        for sample in recognise(root).samples
    }


def names(root):
    return [sample.name for sample in recognise(root).samples]


def left_out(root):
    return {one.path.relative_to(root).as_posix(): one.reason for one in recognise(root).unpaired}


class TestFolderNames:
    """Two folders, under the names that data sets have."""

    @pytest.mark.parametrize(
        "images", ["images", "Image", "imgs", "img", "raw", "Inputs", "x", "photos", "cell_images"]
    )
    @pytest.mark.parametrize(
        "masks",
        ["masks", "Mask", "labels", "annotations", "gt", "Ground-Truth", "truth", "seg", "y", "cell_masks"],
    )
    def test_known_names_in_any_case(self, make, images, masks):
        root = make(f"{images}/a.png", f"{masks}/a.png")
        assert pairs(root) == {f"{images}/a.png": f"{masks}/a.png"}
        assert names(root) == ["a.png"]

    @pytest.mark.parametrize(
        ("image", "mask", "split", "name"),
        [
            ("images/train/a.png", "masks/train/a.png", "train", "train/a.png"),
            ("train/images/a.png", "train/masks/a.png", "train", "train/a.png"),
            ("valid/images/a.png", "valid/labels/a.png", "val", "valid/a.png"),
            ("testing/images/a.png", "testing/gt/a.png", "test", "testing/a.png"),
            ("imagesTr/a_0000.png", "labelsTr/a.png", "train", "train/a_0000.png"),
            ("train_images/a.png", "train_masks/a.png", "train", "train/a.png"),
            ("images_val/a.png", "masks_val/a.png", "val", "val/a.png"),
            ("set/images/Validation/a.png", "set/masks/Validation/a.png", "val", "set/Validation/a.png"),
        ],
    )
    def test_splits_in_the_names_of_folders_are_honoured(self, make, image, mask, split, name):
        root = make(image, mask, "images/other.png", "masks/other.png")
        sample = next(each for each in recognise(root).samples if each.name == name)
        assert (sample.split, sample.mask.path) == (split, root / mask)

    @pytest.mark.parametrize(
        ("image", "mask", "split"),
        [
            ("train/a.png", "trainannot/a.png", "train"),
            ("a.png", "masks/a.png", None),
            ("satellite/a.png", "labels/a.png", None),
        ],
    )
    def test_beside_mask_folders_all_else_are_images(self, make, image, mask, split):
        root = make(image, mask)
        assert pairs(root) == {image: mask}
        assert recognise(root).samples[0].split == split

    def test_sub_folders_are_mirrored(self, make):
        root = make("images/p1/1.png", "images/p2/1.png", "masks/p1/1.png", "masks/p2/1.png")
        assert pairs(root) == {"images/p1/1.png": "masks/p1/1.png", "images/p2/1.png": "masks/p2/1.png"}
        assert names(root) == ["p1/1.png", "p2/1.png"]

    def test_sub_folders_above_are_mirrored(self, make):
        root = make("p1/images/1.png", "p2/images/1.png", "p1/masks/1.png", "p2/masks/1.png")
        assert pairs(root) == {"p1/images/1.png": "p1/masks/1.png", "p2/images/1.png": "p2/masks/1.png"}

    def test_a_mask_of_another_patient_is_never_taken(self, make):
        root = make("images/p1/1.png", "images/p2/2.png", "masks/p1/1.png", "masks/p2/1.png")
        assert pairs(root) == {"images/p1/1.png": "masks/p1/1.png"}
        assert set(left_out(root)) == {"images/p2/2.png", "masks/p2/1.png"}

    def test_a_mask_of_another_split_is_never_taken(self, make):
        root = make("images/train/1.png", "masks/train/1.png", "images/val/2.png", "masks/test/2.png")
        assert pairs(root) == {"images/train/1.png": "masks/train/1.png"}

    def test_masks_may_lie_flat_where_images_do_not(self, make):
        root = make("images/p1/1.png", "images/p2/2.png", "masks/1.png", "masks/2.png")
        assert len(pairs(root)) == 2

    def test_images_are_named_as_their_users_know_them(self, make):
        root = make("set/images/a.png", "set/images/b.png", "set/masks/a.png", "set/masks/b.png")
        assert names(root) == ["a.png", "b.png"]

    def test_clutter_is_passed_over(self, make):
        root = make(
            "images/a.png",
            "masks/a.png",
            "images/.a.png",
            "images/Thumbs.db",
            "__MACOSX/images/b.png",
            "masks/notes.txt",
            "figure.png",
            ".hidden/images/c.png",
        )
        assert pairs(root) == {"images/a.png": "masks/a.png"}
        assert left_out(root) == {}

    def test_a_linked_folder_is_followed_and_a_circle_ends(self, make, tmp_path):
        root = make("images/a.png", "masks/a.png")
        (root / "images").rename(tmp_path / "elsewhere")
        (root / "images").symlink_to(tmp_path / "elsewhere")
        (root / "masks" / "again").symlink_to(root)
        assert pairs(root) == {"images/a.png": "masks/a.png"}

    def test_images_outside_the_folders_are_counted(self, make):
        root = make("train/image/0.png", "train/label/0.png", "test/0.png", "test/1.png")
        assert "2 image files outside these folders not used" in recognise(root).evidence


class TestFileNames:
    """The same stem, or one that differs by words that only say image or mask."""

    @pytest.mark.parametrize(
        ("image", "mask"),
        [
            ("a.jpg", "a.png"),
            ("a.png", "a_mask.png"),
            ("a.png", "A_Mask.PNG"),
            ("a.tif", "a-label.png"),
            ("a.png", "a_labels.png"),
            ("a.png", "a_seg.gif"),
            ("a.png", "a_gt.bmp"),
            ("a.png", "mask_a.png"),
            ("a_img.png", "a_mask.png"),
            ("img_a.png", "gt_a.png"),
            ("12_sat.jpg", "12_mask.png"),
            ("a_0000.png", "a.png"),
            ("21_training.tif", "21_manual1.gif"),
            ("image001.png", "mask001.png"),
            ("benign (1).png", "benign (1)_mask.png"),
            ("a.ome.tif", "a_mask.ome.tif"),
            ("frame_1.png", "frame_1_mask.png"),
        ],
    )
    def test_stems_that_say_the_same(self, make, image, mask):
        root = make(f"images/{image}", f"masks/{mask}")
        assert pairs(root) == {f"images/{image}": f"masks/{mask}"}

    def test_the_same_name_goes_before_a_similar_one(self, make):
        root = make("images/1.png", "images/img_1.png", "masks/1.png", "masks/img_1.png")
        assert pairs(root) == {"images/1.png": "masks/1.png", "images/img_1.png": "masks/img_1.png"}

    def test_two_masks_for_one_image_are_left_to_the_user(self, make):
        root = make("images/a.png", "images/b.png", "masks/a.png", "masks/a.tif", "masks/b.png")
        assert pairs(root) == {"images/b.png": "masks/b.png"}
        assert set(left_out(root)) == {"images/a.png", "masks/a.png", "masks/a.tif"}
        assert "masks/a.tif" in left_out(root)["images/a.png"]

    def test_two_families_of_masks_for_one_image_are_left_to_the_user(self, make):
        root = make("images/a.png", "images/b.png", "masks/a.png", "labels/a.png", "labels/b.png")
        assert pairs(root) == {"images/b.png": "labels/b.png"}
        assert "labels/a.png" in left_out(root)["images/a.png"]

    def test_what_has_no_partner_is_told_with_the_nearest_name(self, make):
        root = make("images/a.png", "images/nucleus_07.png", "masks/a.png", "masks/nucleus_7.png")
        reasons = left_out(root)
        assert reasons["images/nucleus_07.png"].startswith("image without a mask")
        assert "masks/nucleus_7.png" in reasons["images/nucleus_07.png"]
        assert reasons["masks/nucleus_7.png"].startswith("mask without an image")

    def test_a_split_without_any_mask_is_a_note(self, make):
        root = make("images/train/a.png", "masks/train/a.png", "images/test/b.png", "images/test/c.png")
        assert left_out(root) == {}
        assert "2 images in test without masks" in recognise(root).evidence


class TestOneFolder:
    """Masks beside their images."""

    def test_masks_are_known_by_their_names(self, make):
        root = make("a.jpg", "a_mask.png", "b.jpg", "b_mask.png")
        assert pairs(root) == {"a.jpg": "a_mask.png", "b.jpg": "b_mask.png"}

    def test_in_splits(self, make):
        root = make("train/1_sat.jpg", "train/1_mask.png", "valid/2_sat.jpg", "valid/2_mask.png")
        assert {sample.name: sample.split for sample in recognise(root).samples} == {
            "train/1_sat.jpg": "train",
            "valid/2_sat.jpg": "val",
        }

    def test_within_the_image_folder(self, make):
        root = make("images/benign/1.png", "images/benign/1_mask.png", "images/benign/2.png")
        assert pairs(root) == {"images/benign/1.png": "images/benign/1_mask.png"}
        assert set(left_out(root)) == {"images/benign/2.png"}

    def test_a_folder_per_case_with_an_image_and_a_mask(self, make):
        root = make("c1/image.png", "c1/mask.png", "c2/image.png", "c2/mask.png")
        assert pairs(root) == {"c1/image.png": "c1/mask.png", "c2/image.png": "c2/mask.png"}

    def test_the_same_stem_with_two_endings_is_decided_by_looking(self, make):
        root = make("a.jpg", "b.jpg")
        for stem in "ab":
            PIL.Image.fromarray(np.eye(24, dtype=np.uint8) * 255).save(root / f"{stem}.png")
        assert pairs(root) == {"a.jpg": "a.png", "b.jpg": "b.png"}


class TestUnknownNames:
    """Two folders that no name explains are told apart by a look into them."""

    @pytest.mark.parametrize("images", ["alpha", "zeta"])
    def test_few_values_make_the_masks(self, make, images):
        root = make(f"{images}/1.png", f"{images}/2.png", "roads/1.png", "roads/2.png")
        assert pairs(root) == {f"{images}/1.png": "roads/1.png", f"{images}/2.png": "roads/2.png"}
        assert "'roads' have 2 distinct values" in recognise(root).evidence

    def test_one_known_name_beside_an_unknown_one(self, make):
        root = make("images/1.png", "roads/1.png")
        assert pairs(root) == {"images/1.png": "roads/1.png"}

    def test_within_splits(self, make):
        root = make("train/alpha/1.png", "train/roads/1.png", "val/alpha/2.png", "val/roads/2.png")
        assert {sample.name: sample.split for sample in recognise(root).samples} == {
            "train/alpha/1.png": "train",
            "val/alpha/2.png": "val",
        }

    def test_many_instances_are_still_calmer_than_an_image(self, make, rng):
        root = make("alpha/1.png")
        ids = np.arange(100, dtype=np.uint16).reshape(10, 10).repeat(16, axis=0).repeat(16, axis=1)
        (root / "beta").mkdir()
        PIL.Image.fromarray(ids).save(root / "beta" / "1.png")
        PIL.Image.fromarray(rng.integers(0, 256, ids.shape, dtype=np.uint8)).save(root / "alpha" / "1.png")
        assert pairs(root) == {"alpha/1.png": "beta/1.png"}


@pytest.fixture
def rng():
    return np.random.default_rng(3)
