"""What a data set asks for is read from its masks."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from drawn import discs
from uvala.arrays import IGNORE
from uvala.errors import ConfigError
from uvala.evaluation.task import find_task


def cells(size=128, count=30, seed=0):
    """Cells 1 that fill the image, apart by membranes 0 of about three pixels."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, size, (count, 2))
    places = np.moveaxis(np.mgrid[:size, :size], 0, -1)
    nearest = np.linalg.norm(places[:, :, None] - centres, axis=-1).argmin(axis=-1)
    edges = ndimage.maximum_filter(nearest, 3) != ndimage.minimum_filter(nearest, 3)
    return (~edges).astype(np.uint8)


def roads(size=128):
    """Two roads 1 that cross: a thin network, and four pieces of ground."""
    mask = np.zeros((size, size), np.uint8)
    mask[60:64] = mask[:, 30:34] = 1
    return mask


BLANK = np.zeros((8, 8), np.uint8)


class TestMembranes:
    """A thin network that parts the rest into many cells."""

    def test_are_known_by_their_cells(self):
        found = find_task([cells(seed=seed) for seed in range(3)], 2)
        assert (found.task, found.cell, found.membrane) == ("membranes", 1, 0)

    def test_are_known_in_either_order_of_the_classes(self):
        found = find_task([1 - cells(seed=seed) for seed in range(3)], 2)
        assert (found.task, found.cell, found.membrane) == ("membranes", 0, 1)

    def test_are_thin(self):
        assert find_task([cells()], 2).thin == (0,)

    def test_are_decided_by_most_of_the_masks_that_can_tell(self):
        blank = np.ones((64, 64), np.uint8)
        assert find_task([cells(), blank, blank, blank], 2).task == "membranes"
        assert find_task([cells(), roads(), roads()], 2).task == "semantic"

    def test_ignored_pixels_are_neither_cell_nor_membrane(self):
        truth = cells()
        truth[:20] = IGNORE
        assert find_task([truth], 2).task == "membranes"


class TestSemantic:
    """All that names classes and parts nothing."""

    @pytest.mark.parametrize(
        "truth",
        [
            roads(),
            1 - roads(),
            discs((96, 96))[1],
            np.zeros((8, 8), np.uint8),
            np.full((8, 8), IGNORE, np.uint8),
        ],
        ids=["roads", "roads the other way round", "discs", "empty", "ignored"],
    )
    def test_stays_semantic(self, truth):
        assert find_task([truth], 2).task == "semantic"

    def test_of_no_mask_at_all(self):
        assert find_task([], 2).task == "semantic"

    def test_of_more_than_two_classes(self):
        assert find_task([cells() + np.uint8(1)], 3).task == "semantic"

    def test_roads_are_thin_and_discs_are_not(self):
        assert find_task([roads()], 2).thin == (1,)
        assert find_task([discs((96, 96))[1]], 2).thin == ()


def test_masks_that_number_objects_ask_for_objects():
    assert find_task([cells()], 2, numbered=True).task == "instances"


def test_a_wish_is_granted_and_the_cells_are_looked_for_all_the_same():
    found = find_task([1 - cells()], 2, wish="membranes")
    assert (found.task, found.cell) == ("membranes", 0)
    assert find_task([cells()], 2, wish="semantic").task == "semantic"


@pytest.mark.parametrize("num_classes", [1, 3])
def test_membranes_are_refused_where_there_are_not_two_classes(num_classes):
    with pytest.raises(ConfigError, match=f"membranes with {num_classes} classes; expected two classes"):
        find_task([np.zeros((8, 8), np.uint8)], num_classes, wish="membranes")


class TestObjectsOfSeveralClasses:
    """The reason says whose objects are scored."""

    @pytest.mark.parametrize("how", [{"wish": "instances"}, {"numbered": True}], ids=["wished", "numbered"])
    def test_names_the_class(self, how):
        found = find_task([BLANK], 3, class_names=("background", "cell", "debris"), **how)
        assert found.cell == 1
        assert found.reason.endswith("only objects of class 'cell' are scored")

    def test_gives_its_number_where_it_has_no_name(self):
        assert find_task([BLANK], 3, wish="instances").reason.endswith("only objects of class 1 are scored")

    def test_of_two_classes_there_is_no_doubt(self):
        assert find_task([BLANK], 2, wish="instances").reason == "as asked for"


class TestHugeMasks:
    """Of a mask with more than 1024 rows or columns, only a window is looked at."""

    def test_cells_are_found_wherever_they_are(self):
        for corner in ((0, 0), (2500, 3500), (1400, 100)):
            truth = np.full((3000, 4000), IGNORE, np.uint8)
            place = np.s_[corner[0] : corner[0] + 256, corner[1] : corner[1] + 256]
            truth[place] = cells(256, 60)[: 3000 - corner[0], : 4000 - corner[1]]
            assert find_task([truth], 2).task == "membranes"

    def test_both_classes_are_looked_at_even_if_one_of_them_is_at_the_ends(self):
        truth = np.zeros((8, 20000), np.uint8)
        truth[4, :500] = truth[4, -500:] = 1
        assert find_task([truth], 2).thin == (1,)

    @pytest.mark.parametrize("value", [0, 1, IGNORE])
    @pytest.mark.parametrize("shape", [(1, 3000), (3000, 1), (1500, 1500)])
    def test_of_one_class_or_none_nothing_is_told(self, shape, value):
        assert find_task([np.full(shape, value, np.uint8)], 2).task == "semantic"

    def test_takes_no_longer_than_the_window(self, monkeypatch):
        seen = []
        transform = ndimage.distance_transform_edt
        monkeypatch.setattr(
            ndimage, "distance_transform_edt", lambda mask: seen.append(mask.shape) or transform(mask)
        )
        truth = np.zeros((1100, 4000), np.uint8)
        truth[500, 100:3900] = 1
        find_task([truth], 2)
        assert seen
        assert max(max(shape) for shape in seen) <= 1024 + 2  # an edge of one pixel is added


def masks_in(folder, count=3):
    return [np.array(Image.open(path)) for path in sorted(folder.iterdir())[:count]]


class TestRealData:
    """The kinds of data that people bring."""

    def test_membranes_of_electron_microscopy(self, shared):
        masks = masks_in(shared / "data/isbi2012/masks")
        found = find_task([(mask == 255).astype(np.uint8) for mask in masks], 2)
        assert (found.task, found.cell) == ("membranes", 1)

    def test_streets_are_semantic(self, shared):
        assert find_task(masks_in(shared / "data/camvid_voc/SegmentationClass"), 11).task == "semantic"

    def test_nuclei_whose_masks_do_not_number_them_are_semantic(self, shared):
        masks = masks_in(shared / "data/dsb2018/labels", 8)
        assert find_task([(mask > 0).astype(np.uint8) for mask in masks], 2).task == "semantic"
