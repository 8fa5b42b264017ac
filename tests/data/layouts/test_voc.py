"""Pascal VOC, with and without its lists."""

import pytest

from uvala.data.layouts import recognise


@pytest.fixture
def voc(make):
    """Four pairs and an image without a mask; lists are added by the tests."""

    def build(above: str = "", **lists: list[str]):
        files = [f"{above}JPEGImages/{stem}.jpg" for stem in "abcde"]
        files += [f"{above}SegmentationClass/{stem}.png" for stem in "abcd"]
        root = make(*files)
        for name, stems in lists.items():
            path = root / above / "ImageSets" / "Segmentation" / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(stems) + "\n")
        return root

    return build


def splits(root):
    return {sample.name: sample.split for sample in recognise(root).samples}


@pytest.mark.parametrize("above", ["", "VOCdevkit/VOC2012/"])
def test_lists_are_the_split(voc, above):
    root = voc(above, train=["a", "b"], val=["c"], test=["d"])
    assert splits(root) == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "val", "d.jpg": "test"}
    assert recognise(root).layout == "Pascal VOC"


def test_trainval_alone_is_no_split(voc):
    assert splits(voc(trainval=["a", "b"])) == {"a.jpg": None, "b.jpg": None}


def test_test_wins_over_train_and_says_so(voc):
    root = voc(train=["a", "b"], test=["b"])
    assert splits(root) == {"a.jpg": "train", "b.jpg": "test"}
    assert "1 name in several lists" in recognise(root).evidence


def test_listed_without_a_mask_is_told(voc):
    (one,) = recognise(voc(train=["a", "e"])).unpaired
    assert (one.path.name, one.reason) == ("e.jpg", "listed, but there is no mask of that name")


def test_listed_without_an_image_is_told(voc):
    (one,) = recognise(voc(train=["a", "zz"])).unpaired
    assert (one.path.name, one.reason) == ("zz.jpg", "listed, but there is no image of that name")


def test_a_test_list_without_masks_is_a_note(voc):
    found = recognise(voc(train=["a", "b"], test=["e"]))
    assert found.unpaired == ()
    assert "1 image in test without masks" in found.evidence


def test_without_lists_all_pairs_count(voc):
    found = recognise(voc())
    assert [sample.name for sample in found.samples] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert "1 image without a mask not used" in found.evidence


def test_lists_may_hold_paths(voc):
    root = voc(train=["/JPEGImages/a.jpg /SegmentationClass/a.png", "JPEGImages\\b.jpg"])
    assert splits(root) == {"a.jpg": "train", "b.jpg": "train"}


def test_two_years_in_one_kit_keep_their_names_apart(make):
    root = make(
        *(
            f"{year}/{kind}"
            for year in ("VOC2007", "VOC2012")
            for kind in ("JPEGImages/a.jpg", "SegmentationClass/a.png")
        )
    )
    assert [sample.name for sample in recognise(root).samples] == ["VOC2007/a.jpg", "VOC2012/a.jpg"]
