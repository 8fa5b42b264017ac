"""Pairing loses no file and never guesses between two."""

from hypothesis import given, settings
from hypothesis import strategies as st

from uvala.data.layouts.pairing import Item, pair
from uvala.data.layouts.tree import File

STEMS = st.sampled_from(["a", "A", "a_mask", "a_img", "mask_a", "b", "b_0000", "b_gt", "1", "img1"])
PLACES = st.lists(st.sampled_from(["p1", "p2"]), max_size=2).map(tuple)
SPLITS = st.sampled_from([None, "train", "test"])


def items(side):
    files = st.tuples(PLACES, STEMS, SPLITS, st.sampled_from([".png", ".tif"]))
    return st.lists(
        files.map(lambda one: Item(File((side, *one[0], str(one[2])), one[1] + one[3]), one[0], one[2])),
        unique=True,
        max_size=12,
    )


@settings(deadline=None)
@given(items("images"), items("masks"))
def test_each_file_ends_in_one_place(images, masks):
    result = pair(images, masks)
    ours = [image for image, _ in result.pairs] + result.images
    theirs = [mask for _, mask in result.pairs] + result.masks
    for several, others in result.ambiguous:
        ours += several
        theirs += others
    assert (sorted(ours), sorted(theirs)) == (sorted(images), sorted(masks))


@settings(deadline=None)
@given(items("images"), items("masks"))
def test_no_pair_crosses_two_splits_or_two_places(images, masks):
    for image, mask in pair(images, masks).pairs:
        assert None in {image.split, mask.split} or image.split == mask.split
        depth = min(len(image.place), len(mask.place))
        assert image.place[len(image.place) - depth :] == mask.place[len(mask.place) - depth :]


@settings(deadline=None)
@given(items("images"), items("masks"), st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(images, masks, random):
    before = pair(images, masks).pairs
    random.shuffle(images)
    random.shuffle(masks)
    assert pair(images, masks).pairs == before
