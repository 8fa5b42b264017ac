"""A folder for each case, with a mask for each object."""

from uvala.data.layouts import recognise


def test_the_form_of_the_data_science_bowl(make):
    root = make("c1/images/c1.png", "c1/masks/x.png", "c1/masks/y.png", "c2/images/c2.png", "c2/masks/z.png")
    found = recognise(root)
    assert found.layout == "case folders"
    assert {sample.name: [mask.path.name for mask in sample.mask] for sample in found.samples} == {
        "c1.png": ["x.png", "y.png"],
        "c2.png": ["z.png"],
    }


def test_an_image_in_the_case_itself(make):
    root = make("c1/photo.png", "c1/masks/x.png", "c1/masks/y.png")
    (sample,) = recognise(root).samples
    assert (sample.name, len(sample.mask)) == ("c1/photo.png", 2)


def test_one_mask_per_case_is_a_mask_and_not_an_object(make):
    root = make("c1/images/a.png", "c1/masks/a.png", "c2/images/a.png", "c2/masks/a.png")
    assert [sample.mask.path for sample in recognise(root).samples] == [
        root / "c1/masks/a.png",
        root / "c2/masks/a.png",
    ]


def test_a_case_without_masks_is_told(make):
    root = make("c1/images/c1.png", "c1/masks/x.png", "c1/masks/y.png", "c2/images/c2.png")
    (one,) = recognise(root).unpaired
    assert (one.path.name, one.reason) == ("c2.png", "case without a mask")


def test_cases_in_splits(make):
    root = make(
        "train/c1/images/c1.png", "train/c1/masks/x.png", "train/c1/masks/y.png", "test/c2/images/c2.png"
    )
    found = recognise(root)
    assert [(sample.name, sample.split) for sample in found.samples] == [("train/c1.png", "train")]
    assert (found.unpaired, "1 case of a split without masks" in found.evidence) == ((), True)


def test_sites_with_many_images_each_are_plain_folders(make):
    files = [
        f"site{site}/{side}/{name}.png" for site in "12" for side in ("images", "masks") for name in "ab"
    ]
    found = recognise(make(*files))
    assert (found.layout, len(found.samples)) == ("folders", 4)
