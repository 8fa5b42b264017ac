"""The files of a prediction in memory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from uvala.arrays import Size
from uvala.data.masks import ClassEntry, MaskEncoding
from uvala.errors import ConfigError
from uvala.images.boxes import PixelFacts
from uvala.prediction.engine import Prediction
from uvala.prediction.layers import quantised
from uvala.prediction.results import Map, require_writable, write_map, write_prediction
from uvala.prediction.wanted import Wanted

ENCODING = MaskEncoding(
    kind="palette",
    classes=(ClassEntry(name="background", values=(0,)), ClassEntry(name="nucleus", values=(2,))),
    palette=((0, 0, 0), (9, 9, 9), (200, 30, 60)),
)
PLACED = PixelFacts(
    spacing=(0.5, 0.5), unit="m", geo=((33550, 12, 3, (0.5, 0.5, 0.0)), (33922, 12, 6, (0.0,) * 6))
)


@pytest.fixture
def prediction():
    share = np.random.default_rng(0).random((20, 30), np.float32)
    probabilities = np.stack([1 - share, share])
    image = (share * 255).astype(np.uint8)[None]
    return Prediction(image, probabilities.argmax(axis=0).astype(np.uint8), probabilities, ENCODING)


def write(prediction, out, facts=PixelFacts(), **wanted):  # noqa: B008 - frozen
    return write_prediction(prediction, facts, out, Path("a"), Wanted(**wanted))


def test_a_small_image_becomes_a_png(prediction, tmp_path):
    path = write(prediction, tmp_path)
    assert path == tmp_path / "a.png"
    with Image.open(path) as mask:
        assert mask.mode == "P"
        assert_array_equal(np.array(mask), prediction.mask * 2)


class TestGeoreference:
    """What lies somewhere on earth has a mask that lies there, too."""

    def test_survives(self, prediction, tmp_path):
        path = write(prediction, tmp_path, PLACED)
        assert path == tmp_path / "a.tif"
        with tifffile.TiffFile(path) as file:
            assert file.pages[0].tags[33550].value == (0.5, 0.5, 0.0)
            assert_array_equal(file.pages[0].asarray(), prediction.mask * 2)

    def test_is_lost_in_a_png_only_when_asked(self, prediction, tmp_path):
        assert write(prediction, tmp_path, PLACED, format="png").suffix == ".png"


def test_a_palette_stays(prediction, tmp_path):
    with tifffile.TiffFile(write(prediction, tmp_path, format="tiff")) as file:
        assert_array_equal(file.pages[0].colormap[:, 2], np.array([200, 30, 60]) * 257)


def test_probabilities_are_named_after_the_classes(prediction, tmp_path):
    write(prediction, tmp_path, format="zarr", probabilities=True, precision="float16")
    group = zarr.open_group(tmp_path / "probabilities/a.zarr", mode="r")
    assert group["0"].dtype == np.float16
    assert_allclose(group["0"][:], prediction.probabilities, atol=1e-3)
    labels = [channel["label"] for channel in group.attrs["omero"]["channels"]]
    assert labels == ["background", "nucleus"]


def test_by_default_probabilities_are_pages_of_a_tiff(prediction, tmp_path):
    write(prediction, tmp_path, probabilities=True)
    assert_array_equal(tifffile.imread(tmp_path / "probabilities/a.tif"), prediction.probabilities)


@pytest.mark.parametrize("name", ["probabilities", "uncertainty"])
def test_beside_a_png_maps_know_how_large_a_pixel_is_and_where(prediction, tmp_path, name):
    write(prediction, tmp_path, PLACED, format="png", **{name: True})
    with tifffile.TiffFile(tmp_path / name / "a.tif") as file:
        assert 'PhysicalSizeX="0.5" PhysicalSizeXUnit="m"' in file.ome_metadata
        assert file.pages[0].tags[33550].value == (0.5, 0.5, 0.0)


@pytest.mark.parametrize("known", [False, True])
def test_uncertainty_has_a_second_page_where_views_were_compared(prediction, tmp_path, known):
    if known:
        prediction = replace(prediction, entropy=prediction.uncertainty / 2)
    write(prediction, tmp_path, uncertainty=True)
    pages = np.atleast_3d(tifffile.imread(tmp_path / "uncertainty/a.tif"))
    expected = [prediction.uncertainty] + [prediction.uncertainty / 2] * known
    assert_allclose(pages.reshape(len(expected), 20, 30), expected, atol=1e-6)


def test_a_png_of_more_than_it_can_hold_is_refused(tmp_path):
    values = Map.of(np.zeros((1, 2, 2), np.uint8))
    huge = replace(values, size=Size(2**20, 2**20))
    with pytest.raises(ConfigError, match="with --format tiff or zarr"):
        write_map(tmp_path / "a", "png", huge, PixelFacts())


@pytest.mark.parametrize("form", ["tiff", "zarr"])
def test_other_forms_hold_any_size(form):
    require_writable(form, Size(2**20, 2**20))


@pytest.mark.parametrize(("value", "stored"), [(0, 0), (1, 255), (0.5, 128), (0.001, 0), (0.003, 1)])
def test_a_probability_in_eight_bits_is_rounded(value, stored):
    assert quantised(np.float32([value]), np.uint8) == stored
