from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from drawn import write_discs
from uvala.arrays import IGNORE
from uvala.data.dataset import read_dataset
from uvala.data.normalisation import Normalisation
from uvala.data.patch_config import PatchConfig
from uvala.data.patches import PatchSampler
from uvala.data.store import ImageStore
from uvala.data.target_config import TargetConfig

SCALE = Normalisation(low=(0,), high=(255,))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return read_dataset(write_discs(tmp_path_factory.mktemp("patches") / "data", count=4, size=(40, 60)))


def sampler(dataset, *, size=16, batch=4, class_share=0.3, margin=2, seed=0, targets="classes"):
    config = PatchConfig(size=size, batch=batch, class_share=class_share)
    store = ImageStore(dataset, SCALE, targets=TargetConfig(objects=targets))
    return PatchSampler(store, dataset.samples, config, margin, seed)


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

    @pytest.mark.parametrize("size", [(12, 9), (40, 60), (90, 30), (1, 20)], ids=str)
    def test_outside_an_image_a_window_is_its_mirror_image(self, tmp_path, size):
        """As numpy's padding mirrors it, which is another implementation."""
        folder = write_discs(tmp_path / "data", count=2, size=size)
        data = read_dataset(folder)
        images, _, maps = sampler(data, size=32, margin=9, batch=6, targets="weights").windows(0)
        wide = np.pad(np.array(Image.open(folder / "images" / "00.png")), 60, mode="reflect")
        other = np.pad(np.array(Image.open(folder / "images" / "01.png")), 60, mode="reflect")
        for image in np.rint(images[:, 0] * 127.5 + 127.5).astype(np.uint8):
            assert occurs(image, wide) or occurs(image, other)
        assert maps.shape == (6, 1, 50, 50)

    @pytest.mark.parametrize("ranks", [1, 2, 4])
    def test_processes_that_share_a_step_see_together_what_one_would_see(self, dataset, ranks):
        whole = sampler(dataset, batch=4).windows(5)
        share = 4 // ranks
        parts = [
            sampler(dataset, batch=4).windows(5, range(r * share, (r + 1) * share)) for r in range(ranks)
        ]
        for expected, *found in zip(whole, *parts, strict=True):
            np.testing.assert_array_equal(np.concatenate(found), expected)

    def test_threads_change_nothing(self, dataset):
        one, other = sampler(dataset), sampler(dataset)  # 16 steps are some epochs, whose order is drawn anew
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(other.windows, reversed(range(16))))[::-1]
        for step, windows in enumerate(together):
            np.testing.assert_array_equal(windows.images, one.windows(step).images)

    def test_a_window_reads_no_more_of_an_image_than_it_shows(self, dataset):
        each = sampler(dataset, size=16, margin=2)
        sample = dataset.samples[0]
        image = Spied(each.store[sample].image)
        each.store._kept[sample.name] = replace(each.store[sample], image=image)
        for step in range(8):
            each.windows(step)
        assert image.read
        assert max(image.read) == (1, 20, 20)


class Spied:
    """An image that remembers the shapes of what was read of it."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.read: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, part) -> np.ndarray:
        self.read.append(self.image[part].shape)
        return self.image[part]


def occurs(window: np.ndarray, image: np.ndarray) -> bool:
    """Whether the window is somewhere in the image, pixel by pixel."""
    views = np.lib.stride_tricks.sliding_window_view(image, window.shape)
    candidates = np.argwhere(views[:, :, 0, 0] == window[0, 0])
    return any(np.array_equal(views[row, column], window) for row, column in candidates)


@pytest.fixture(scope="module")
def unequal(tmp_path_factory):
    """Two images 240x240 with an object of 4x4 pixels on the left and one of 100x100 on the right."""
    folder = tmp_path_factory.mktemp("unequal") / "data"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    mask = np.zeros((240, 240), np.uint8)
    mask[100:104, 20:24] = 255
    mask[80:180, 130:230] = 255
    for name in "ab":
        noise = np.random.default_rng(ord(name)).integers(0, 99, mask.shape)
        Image.fromarray((mask // 2 + noise).astype(np.uint8)).save(folder / "images" / f"{name}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return read_dataset(folder)


class TestBalance:
    """Of 400 draws with probability 1/2, 200 are expected, with a standard deviation of 10."""

    def shares(self, data, **config) -> tuple[float, float]:
        """Shares of 400 patches 32x32 that show some of the small object, and some of the large one."""
        patches = PatchConfig(size=32, batch=400, **config)
        store = ImageStore(data, SCALE, objects=config["object_share"] > 0)
        masks = PatchSampler(store, data.samples, patches, 0, seed=0).windows(0).masks == 1
        pixels = masks.sum(axis=(1, 2))
        small = (pixels > 0) & (pixels <= 16)
        # a patch that only just touches the large one shows few of its pixels, too, at an edge of the patch
        return float((small & ~masks[:, :, 0].any(axis=1)).mean()), float((pixels > 16).mean())

    def test_small_objects_are_seen_as_often_as_large_ones(self, unequal):
        small, large = self.shares(unequal, class_share=0.0, object_share=1.0)
        assert small + large == 1
        assert abs(small - 0.5) < 4 * 0.025

    def test_balance_of_classes_alone_favours_large_ones(self, unequal):
        small, large = self.shares(unequal, class_share=1.0, object_share=0.0)
        assert small < 0.05 < 0.4 < large

    def test_the_shares_are_those_of_the_patches(self, unequal):
        small, _ = self.shares(unequal, class_share=0.2, object_share=0.4)
        assert abs(small - 0.2 - 0.4 * 0.02) < 4 * 0.02

    def test_where_an_image_has_no_objects_patches_lie_anywhere(self, tmp_path):
        folder = write_discs(tmp_path / "data", count=3)
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(folder / "masks" / "01.png")
        data = read_dataset(folder)
        store = ImageStore(data, SCALE, objects=True)
        config = PatchConfig(size=16, batch=40, class_share=0, object_share=1)
        windows = PatchSampler(store, data.samples[1:2], config, 0, 0).windows(0)
        assert len({image.tobytes() for image in windows.images}) > 30

    def test_shares_of_more_than_everything_are_refused(self):
        with pytest.raises(ValidationError, match=r"0\.6 and object_share 0\.5 add up to more than 1"):
            PatchConfig(class_share=0.6, object_share=0.5)
