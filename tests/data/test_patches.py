import numpy as np
import pytest

from drawn import write_discs
from uvala.arrays import IGNORE
from uvala.data.dataset import read_dataset
from uvala.data.normalisation import Normalisation
from uvala.data.patch_config import PatchConfig
from uvala.data.patches import ImageStore, PatchSampler

SCALE = Normalisation(low=(0,), high=(255,))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(write_discs(tmp_path_factory.mktemp("patches") / "data", count=4, size=(40, 60)))


def sampler(dataset, *, size=16, batch=4, class_share=0.3, margin=2, seed=0, limit=None):
    config = PatchConfig(size=size, batch=batch, class_share=class_share)
    return PatchSampler(ImageStore(dataset, SCALE, limit), dataset.samples, config, margin, seed)


class TestSampler:
    """P5, P7: patches at the images' own resolution, from images of any size, in batches of any size."""

    def test_a_step_is_a_function_of_seed_and_number(self, dataset):
        one, other = sampler(dataset), sampler(dataset)
        one.windows(0)  # what was drawn before does not matter
        for drawn, again in zip(one.windows(7), other.windows(7), strict=True):
            np.testing.assert_array_equal(drawn, again)

    def test_windows_have_a_margin_on_each_side(self, dataset):
        images, masks, _ = sampler(dataset, size=16, margin=3).windows(0)
        assert images.shape == (4, 1, 22, 22)
        assert masks.shape == (4, 22, 22)

    def test_image_and_mask_show_the_same_place(self, dataset):
        # the discs are brighter than 135 and the background is darker
        images, masks, _ = sampler(dataset, class_share=1.0).windows(0)
        known = masks != IGNORE
        assert ((images[:, 0] * 127.5 + 127.5 > 135) == (masks == 1))[known].mean() > 0.98

    def test_outside_the_image_the_mask_is_ignored(self, dataset):
        _, masks, _ = sampler(dataset, size=64, margin=0).windows(0)
        assert (masks[:, 40 + 12 :] == IGNORE).all()  # 40 rows in the middle of 64
        assert (masks[:, 12 : 12 + 40, 2:62] != IGNORE).all()

    def test_an_epoch_shows_each_image_as_often_as_patches_cover_it(self, dataset):
        each = sampler(dataset, size=20, batch=3)  # 40 x 60 is six patches of 20 x 20
        assert each.steps_per_epoch == 8
        shown = [each._image_of(number) for number in range(24)]
        assert np.bincount(shown).tolist() == [6, 6, 6, 6]

    def test_patches_on_classes_are_centred_on_them(self, dataset):
        _, masks, _ = sampler(dataset, size=16, batch=64, class_share=1.0, margin=0).windows(0)
        assert 0.4 < (masks[:, 7:9, 7:9] == 1).any(axis=(1, 2)).mean() < 0.75  # half of the draws are class 1

    @pytest.mark.parametrize("size", [(1, 40), (30, 1), (12, 9)], ids=str)
    def test_an_image_far_smaller_than_a_patch_gives_one(self, tmp_path, size):
        folder = write_discs(tmp_path / "data", count=6, size=(40, 40))
        write_discs(tmp_path / "tiny", count=1, size=size)
        for part in ("images", "masks"):
            (tmp_path / "tiny" / part / "00.png").rename(folder / part / "tiny.png")
        data = read_dataset(folder)
        images, _, _ = sampler(data, size=32, margin=8, batch=14).windows(0)  # an epoch, tiny and all
        assert np.isfinite(images).all()


class TestStore:
    def test_keeps_no_more_than_its_limit(self, dataset):
        store = ImageStore(dataset, SCALE, limit=2 * 40 * 60 * 2 + 40_000)
        for sample in dataset.samples:
            store[sample]
        assert len(store._kept) < 4

    def test_a_store_without_room_still_works(self, dataset):
        images, _, _ = sampler(dataset, limit=0).windows(3)
        np.testing.assert_array_equal(images, sampler(dataset).windows(3)[0])
