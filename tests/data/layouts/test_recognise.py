"""One layout is chosen; where none fits, the user learns what is there and what to do."""

import pytest

from uvala.data.layouts import recognise
from uvala.data.layouts.words import MASK_FOLDERS
from uvala.errors import LayoutError


def refusal(path):
    with pytest.raises(LayoutError) as caught:
        recognise(path)
    return str(caught.value)


class TestRefusals:
    """Found, expected, fix."""

    def test_a_missing_folder_suggests_the_nearest(self, make):
        root = make("images/a.png")
        assert f"did you mean {root / 'images'}" in refusal(root / "imagse")
        assert str(root) in refusal(root.with_name("dat") / "images")

    def test_an_empty_folder(self, tmp_path):
        assert "which is empty" in refusal(tmp_path)

    def test_files_but_no_images(self, make):
        assert "2 files (.dcm, .txt)" in refusal(make("a.dcm", "b.txt"))

    def test_images_only_says_where_masks_were_looked_for(self, make):
        said = refusal(make("images/a.png", "images/b.png"))
        assert "2 images" in said
        assert all(folder in said for folder in MASK_FOLDERS[:3])

    def test_the_image_folder_instead_of_the_one_above(self, make):
        root = make("images/a.png", "masks/a.png")
        assert f"give {root}" in refusal(root / "images")

    def test_masks_only(self, make):
        assert "1 mask and no image" in refusal(make("masks/a.png"))

    def test_nothing_pairs_shows_names_of_both_sides(self, make):
        said = refusal(make("images/p.png", "images/q.png", "masks/7.png", "masks/8.png"))
        assert "images/p.png, images/q.png" in said
        assert "masks/7.png, masks/8.png" in said

    def test_everything_twice_names_the_rivals(self, make):
        said = refusal(make("images/a.png", "masks/a.png", "labels/a.png"))
        assert "masks/a.png" in said
        assert "labels/a.png" in said

    def test_a_single_image_is_no_data_set(self, make):
        root = make("images/a.png")
        assert "which is one image" in refusal(root / "images/a.png")


class TestClassNames:
    """A list beside the images."""

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("sky\nroad\n\n# more\ncar\n", ("sky", "road", "car")),
            ("\ufeffsky\r\nroad", ("sky", "road")),
            ("0 sky\n1: road\n2, car", ("sky", "road", "car")),
            ("1 sky\n2 road", ("sky", "road")),
            ("a.png\nb.png", None),
            ("", None),
            ("cell\ncell", None),
        ],
    )
    def test_one_a_line(self, make, text, names):
        root = make("images/a.png", "masks/a.png")
        (root / "classes.txt").write_text(text, encoding="utf-8", newline="")
        assert recognise(root).class_names == names

    def test_without_a_list_there_are_none(self, make):
        assert recognise(make("images/a.png", "masks/a.png")).class_names is None


class TestRealData:
    """The three data sets, as they are."""

    @pytest.mark.parametrize(
        ("name", "layout", "samples", "splits"),
        [
            ("isbi2012", "folders", 30, {None: 30}),
            ("dsb2018", "folders", 200, {None: 200}),
            ("camvid_voc", "Pascal VOC", 468, {"train": 367, "val": 101}),
        ],
    )
    def test_understood_without_a_word(self, shared, name, layout, samples, splits):
        found = recognise(shared / "data" / name)
        assert (found.layout, len(found.samples), found.unpaired) == (layout, samples, ())
        counted = [sample.split for sample in found.samples]
        assert {split: counted.count(split) for split in set(counted)} == splits

    def test_class_names_of_camvid(self, shared):
        names = recognise(shared / "data" / "camvid_voc").class_names
        assert (len(names), names[0], names[-1]) == (11, "sky", "bicyclist")


def test_ten_thousand_pairs_are_recognised_without_opening_one(tmp_path):
    for side, stem in (("images", "img_{}.png"), ("masks", "img_{}_mask.png")):
        (tmp_path / side).mkdir()
        for number in range(10_000):
            (tmp_path / side / stem.format(number)).touch()  # empty: to open one would be an error
    assert len(recognise(tmp_path).samples) == 10_000
