"""The sample data: exact masks, a task that a threshold cannot do, a folder that is made once."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.filters import threshold_otsu

import uvala
from uvala.data.synthetic import synthetic_sample, write_sample_data
from uvala.data.synthetic_config import SyntheticConfig
from uvala.errors import ConfigError, StorageError


@pytest.fixture(scope="module")
def samples():
    """The first sixteen images of the default set."""
    return [synthetic_sample(SyntheticConfig(), index) for index in range(16)]


def dice(prediction, truth):
    return 2 * (prediction & truth).sum() / (prediction.sum() + truth.sum())


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestMasks:
    """Each cell is an object by itself, and each pixel belongs to one."""

    def test_shapes_and_types(self, samples):
        image, labels = samples[0]
        assert (image.shape, image.dtype) == ((256, 256), np.uint8)
        assert (labels.shape, labels.dtype) == ((256, 256), np.int32)

    @pytest.mark.parametrize(("size", "seed"), [(64, 1), (100, 2), (256, 3), (400, 4)])
    def test_ids_are_contiguous_and_each_is_one_piece_without_holes(self, size, seed):
        for index in range(4):
            _, labels = synthetic_sample(SyntheticConfig(size=size, seed=seed), index)
            assert np.unique(labels[labels > 0]).tolist() == list(range(1, labels.max() + 1))
            for number in range(1, labels.max() + 1):
                cell = labels == number
                assert ndimage.label(cell)[1] == 1
                assert (ndimage.binary_fill_holes(cell) == cell).all()

    def test_no_cell_is_a_speck(self, samples):
        assert min(np.bincount(labels.ravel())[1:].min() for _, labels in samples) >= 24

    def test_many_cells_touch_another(self, samples):
        touching = [
            ((a != b) & (a > 0) & (b > 0)).any()
            for _, labels in samples
            for a, b in [(labels[1:], labels[:-1])]
        ]
        assert np.mean(touching) > 0.8

    def test_images_are_sparse_and_crowded(self, samples):
        cells = [labels.max() for _, labels in samples]
        assert min(cells) < 20
        assert max(cells) > 50


class TestImages:
    """They show the cells, but not in black and white."""

    def test_cells_are_brighter_than_their_surroundings_on_average(self, samples):
        assert all(image[labels > 0].mean() > 1.3 * image[labels == 0].mean() for image, labels in samples)

    def test_no_threshold_finds_the_cells(self, samples):
        pooled = threshold_otsu(np.stack([image for image, _ in samples]))
        images, labels = (np.stack(each) for each in zip(*samples, strict=True))
        assert dice(images > pooled, labels > 0) < 0.8
        assert np.mean([dice(image > threshold_otsu(image), labels > 0) for image, labels in samples]) < 0.85
        # not even the best one, chosen by looking at the masks
        assert max(dice(images > threshold, labels > 0) for threshold in range(10, 200, 5)) < 0.85

    def test_some_cells_are_dimmer_than_the_brightest_background(self, samples):
        dim = 0
        for image, labels in samples:
            cells = ndimage.mean(image, labels, range(1, labels.max() + 1))
            dim += (cells < np.percentile(image[labels == 0], 99)).sum()
        assert dim > 10

    def test_light_is_noisy(self, samples):
        image, labels = samples[0]
        steps = np.diff(image.astype(float), axis=1)[(labels[:, 1:] == 0) & (labels[:, :-1] == 0)]
        assert steps.std() > 1

    def test_the_range_of_8_bits_is_used(self, samples):
        assert all(np.percentile(image, 99.9) > 100 for image, _ in samples)
        assert all((image == 255).mean() < 0.05 for image, _ in samples)


class TestSeeds:
    """A picture depends on seed, size and index alone."""

    def test_another_process_draws_the_same(self):
        code = (
            "import hashlib; from uvala.data.synthetic import synthetic_sample;"
            "from uvala.data.synthetic_config import SyntheticConfig;"
            "image, labels = synthetic_sample(SyntheticConfig(size=128, seed=5), 3);"
            "print(hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest())"
        )
        there = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        image, labels = synthetic_sample(SyntheticConfig(size=128, seed=5), 3)
        assert there.strip() == hashlib.sha256(image.tobytes() + labels.tobytes()).hexdigest()

    def test_more_images_do_not_change_the_earlier_ones(self, tmp_path):
        few = contents(write_sample_data(tmp_path / "few", count=2, size=64))
        many = contents(write_sample_data(tmp_path / "many", count=4, size=64))
        pictures = [name for name in few if name.endswith(".png")]
        assert len(pictures) == 4
        assert all(few[name] == many[name] for name in pictures)

    def test_every_image_is_another(self, samples):
        assert len({image.tobytes() for image, _ in samples}) == len(samples)

    def test_another_seed_draws_others(self):
        drawn = {synthetic_sample(SyntheticConfig(size=64, seed=seed), 0)[0].tobytes() for seed in range(5)}
        assert len(drawn) == 5


class TestFolder:
    """Made once, gone on with where it was cut off, and never on top of something else."""

    def test_holds_8_bit_images_and_16_bit_masks_of_the_same_names(self, tmp_path):
        folder = uvala.write_sample_data(tmp_path / "data", count=2, size=64, seed=9)
        names = ["cell_000.png", "cell_001.png"]
        assert [sorted(path.name for path in (folder / side).iterdir()) for side in ("images", "masks")] == [
            names
        ] * 2
        image, labels = synthetic_sample(SyntheticConfig(size=64, seed=9), 1)
        with (
            Image.open(folder / "images" / names[1]) as picture,
            Image.open(folder / "masks" / names[1]) as mask,
        ):
            assert (picture.mode, mask.mode) == ("L", "I;16")
            assert (np.asarray(picture) == image).all()
            assert (np.asarray(mask) == labels).all()

    def test_says_what_it_is(self, tmp_path):
        folder = write_sample_data(tmp_path, count=1, size=64, seed=7)
        assert "1 images of 64x64, seed 7" in (folder / "README.txt").read_text()

    def test_a_second_call_leaves_every_file_alone(self, tmp_path):
        write_sample_data(tmp_path, count=2, size=64)
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        write_sample_data(tmp_path, count=2, size=64)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before

    def test_an_interrupted_call_is_gone_on_with(self, tmp_path):
        whole = contents(write_sample_data(tmp_path, count=3, size=64))
        (tmp_path / "masks" / "cell_001.png").unlink()
        (tmp_path / "images" / "cell_002.png").unlink()
        assert contents(write_sample_data(tmp_path, count=3, size=64)) == whole

    def test_reports_progress(self, tmp_path):
        seen = []
        write_sample_data(tmp_path, count=3, size=64, progress=lambda done, total: seen.append((done, total)))
        assert seen == [(1, 3), (2, 3), (3, 3)]

    @pytest.mark.parametrize("other", [{"count": 3}, {"size": 100}, {"seed": 1}], ids=str)
    def test_sample_data_of_other_settings_are_not_mixed_with_it(self, tmp_path, other):
        before = contents(write_sample_data(tmp_path, count=2, size=64))
        with pytest.raises(StorageError, match="holds sample data of another count, size or seed"):
            write_sample_data(tmp_path, **{"count": 2, "size": 64, **other})
        assert contents(tmp_path) == before

    @pytest.mark.parametrize("name", ["notes.txt", "README.txt", "images/mine.png"])
    def test_a_folder_that_holds_something_else_is_refused_and_kept(self, tmp_path, name):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        with pytest.raises(StorageError, match="already holds files"):
            write_sample_data(tmp_path, count=1, size=64)
        assert contents(tmp_path) == {name: b"mine"}

    def test_a_file_in_the_place_of_the_folder_is_refused(self, tmp_path):
        (tmp_path / "data").write_text("")
        with pytest.raises(StorageError, match="already holds a file"):
            write_sample_data(tmp_path / "data", count=1, size=64)

    @pytest.mark.parametrize("wrong", [{"count": 0}, {"size": 10}, {"size": 5000}, {"seed": -1}], ids=str)
    def test_settings_out_of_range_are_refused_before_anything_is_written(self, tmp_path, wrong):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            write_sample_data(tmp_path / "data", **wrong)
        assert not (tmp_path / "data").exists()
