"""Decoded images, wherever they are kept, are the same."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import uvala.data.store
from drawn import write_discs, write_touching_squares
from uvala.data.cache import ImageCache
from uvala.data.dataset import read_dataset
from uvala.data.normalisation import Normalisation
from uvala.data.patch_config import PatchConfig
from uvala.data.patches import PatchSampler
from uvala.data.store import ImageStore, memory_limit
from uvala.data.target_config import TargetConfig

SCALE = Normalisation(low=(0,), high=(255,))
BORDERS = TargetConfig(objects="borders")
WEIGHTS = TargetConfig(objects="weights")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Six images of 32x32 with three squares each, which their masks number."""
    return read_dataset(write_touching_squares(tmp_path_factory.mktemp("store") / "data"))


@pytest.fixture
def cache(tmp_path) -> ImageCache:
    return ImageCache(tmp_path)


def store(dataset, cache=None, *, limit=0, heard=None, **options) -> ImageStore:
    """By default there is no memory for more than one image."""

    def say(kind, **values):
        assert kind == "cache"
        if heard is not None:
            heard.append(values["state"])

    return ImageStore(dataset, SCALE, limit, cache=cache, say=say, **options)


def read_all(images: ImageStore) -> ImageStore:
    for sample in images.dataset.samples:
        images[sample]
    return images


def assert_same(one, other) -> None:
    pairs = [
        (one.image, other.image),
        (one.classes, other.classes),
        (one.target.classes, other.target.classes),
        (one.target.maps, other.target.maps),
        (one.objects, other.objects),
        *zip(one.places, other.places, strict=True),
    ]
    for left, right in pairs:
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
    assert one.scale == other.scale


class TestMapped:
    @pytest.mark.parametrize("targets", [TargetConfig(), BORDERS, WEIGHTS], ids=lambda config: config.objects)
    def test_images_are_those_that_were_decoded(self, dataset, cache, targets):
        plain = store(dataset, targets=targets, objects=True)
        read_all(store(dataset, cache, targets=targets, objects=True))
        again = store(dataset, ImageCache(cache.folder), targets=targets, objects=True)
        for sample in dataset.samples:
            assert_same(again[sample], plain[sample])
        assert (again.found, again.decoded) == (6, 0)

    def test_windows_are_those_of_images_in_memory(self, dataset, cache):
        config = PatchConfig(size=24, batch=5, object_share=0.4)

        def windows(images):
            return PatchSampler(images, dataset.samples, config, margin=6, seed=0).windows(3)

        mapped = windows(store(dataset, cache, targets=WEIGHTS, objects=True))
        for found, expected in zip(
            mapped, windows(store(dataset, limit=2**30, targets=WEIGHTS, objects=True)), strict=True
        ):
            np.testing.assert_array_equal(found, expected)

    def test_images_take_no_memory_that_the_system_cannot_have_back(self, dataset, cache):
        images = read_all(store(dataset, cache))
        assert all(images[sample].size_in_bytes == 0 for sample in dataset.samples)
        assert images.decoded == 6  # all are still there

    def test_a_damaged_file_is_decoded_again(self, dataset, cache):
        read_all(store(dataset, cache))
        victim = sorted(cache.folder.iterdir())[0]
        victim.write_bytes(victim.read_bytes()[:-50])
        heard: list[str] = []
        again = read_all(store(dataset, ImageCache(cache.folder), heard=heard))
        assert (again.found, again.decoded) == (5, 1)
        assert heard == ["disk", "damaged"]
        for sample in dataset.samples:
            assert_same(again[sample], store(dataset)[sample])

    def test_a_full_disk_is_said_once_and_everything_goes_on(self, dataset, cache):
        cache.folder.rmdir()  # as good as full: nothing can be written
        heard: list[str] = []
        images = read_all(store(dataset, cache, heard=heard))
        assert heard == ["disk", "full"]
        assert_same(images[dataset.samples[0]], store(dataset)[dataset.samples[0]])

    def test_a_cache_that_is_too_small_is_said_once_and_everything_goes_on(self, dataset, tmp_path):
        heard: list[str] = []
        images = read_all(store(dataset, ImageCache(tmp_path, limit=25_000), heard=heard))
        assert heard == ["disk", "full"]
        assert images.decoded == 6
        assert 0 < ImageCache(tmp_path).size_in_bytes <= 25_000


class TestKeys:
    """An entry is found again by content, and only by the same content."""

    def found(self, dataset, cache, **options) -> int:
        return read_all(store(dataset, ImageCache(cache.folder), **options)).found

    def test_the_same_data_elsewhere_are_found(self, dataset, cache, tmp_path_factory):
        read_all(store(dataset, cache))
        copy = read_dataset(write_touching_squares(tmp_path_factory.mktemp("copy") / "data"))
        assert self.found(copy, cache) == 6

    def test_other_settings_make_other_entries(self, dataset, cache):
        read_all(store(dataset, cache))
        assert self.found(dataset, cache) == 6
        assert self.found(dataset, cache, targets=BORDERS) == 0
        assert self.found(dataset, cache, objects=True) == 0

    def test_the_scale_does_not(self, dataset, cache):
        read_all(store(dataset, cache))
        images = read_all(ImageStore(dataset, Normalisation(by="image"), 0, cache=ImageCache(cache.folder)))
        assert images.found == 6

    def test_a_changed_mask_is_not_mistaken_for_the_old_one(self, cache, tmp_path_factory):
        folder = write_discs(tmp_path_factory.mktemp("changed") / "data", count=3)
        read_all(store(read_dataset(folder), cache))
        mask = np.array(Image.open(folder / "masks" / "01.png"))
        Image.fromarray(mask[::-1]).save(folder / "masks" / "01.png")
        dataset = read_dataset(folder)
        images = read_all(store(dataset, ImageCache(cache.folder)))
        assert (images.found, images.decoded) == (2, 1)
        np.testing.assert_array_equal(images[dataset.samples[1]].classes, mask[::-1] // 255)


class TestMemory:
    def test_images_that_fit_are_decoded_once_and_go_to_no_disk(self, dataset, cache):
        heard: list[str] = []
        images = read_all(read_all(store(dataset, cache, limit=2**30, heard=heard)))
        assert images.decoded == 6
        assert heard == ["memory"]
        assert list(cache.folder.iterdir()) == []

    @pytest.mark.parametrize(("worth", "written"), [(0.0, 1), (1.0, 0)], ids=["slow", "quick"])
    def test_large_ones_that_take_long_are_kept_for_the_next_training(
        self, cache, tmp_path_factory, monkeypatch, worth, written
    ):
        folder = write_discs(tmp_path_factory.mktemp("large") / "data", count=3)
        large = np.zeros((2100, 2100), np.uint8)  # more than 4 MB together with its mask
        large[:9] = 255
        for part in ("images", "masks"):
            Image.fromarray(large).save(folder / part / "large.png")
        monkeypatch.setattr(uvala.data.store, "_WORTH", worth)  # seconds a byte
        read_all(store(read_dataset(folder), cache, limit=2**30))
        assert len(list(cache.folder.iterdir())) == written

    def test_without_a_cache_the_last_ones_stay(self, dataset):
        images = store(dataset, limit=25_000)
        first, last = dataset.samples[0], dataset.samples[-1]
        read_all(images)
        kept = images[last]
        assert images[last] is kept
        assert images.decoded == 6
        images[first]
        assert images.decoded == 7

    def test_several_threads_decode_an_image_once(self, dataset):
        images = store(dataset, limit=2**30)
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(lambda number: images[dataset.samples[number % 6]], range(48)))
        assert images.decoded == 6
        assert all(read[number] is read[number % 6] for number in range(48))

    def test_processes_of_one_training_share_it(self, monkeypatch):
        monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
        alone = memory_limit()
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
        assert memory_limit() == alone // 4
