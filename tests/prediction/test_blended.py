"""What is said of blended tiles, and large images that are made of them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.testing import assert_allclose, assert_array_equal

from predictions import cut_small, images_are_large, write_image
from uvala.api.predicting import predict_paths
from uvala.prediction.blended import Blended
from uvala.prediction.engine import Predictor
from uvala.prediction.execution import Execution
from uvala.prediction.wanted import Wanted
from uvala.tiling.seams import Blend, Crop
from uvala.tiling.shelf import Scratch

SIZE = (150, 210)
WANTED = Wanted(probabilities=True, precision="float32")


def blending(run: Path) -> Predictor:
    """The predictor of a run with one network, as if it had no finite halo."""
    predictor = cut_small(run)
    everywhere = predictor.card.network.model_copy(update={"halo": None})
    tiles = predictor.card.tiles.model_copy(update={"overlap": 32})
    predictor.card = predictor.card.model_copy(update={"network": everywhere, "tiles": tiles})
    return predictor


@pytest.fixture
def image(tmp_path) -> Path:
    return write_image(tmp_path / "big.npy", SIZE)


class TestWhatIsSaid:
    def crop(self) -> Crop:
        whole = torch.zeros(2, 10, 20)
        whole[0] = 1
        blended = whole.clone()
        blended[:, 0] = blended[:, 0].flip(0)  # 20 of 200 pixels
        return Crop(48, blended, whole)

    def test_is_why_and_what_it_costs(self, disc_run):
        said = Blended()
        said.hear(disc_run.card, Blend("no tile is exact", disc_run.card.tiles.size, self.crop))
        (sentence,) = said
        assert sentence.startswith("no tile is exact; on a crop of 20x10 pixels")
        assert "10.00% of the pixels change their class" in sentence

    def test_is_also_that_tiles_are_smaller_than_planned(self, disc_run):
        said = Blended()
        said.hear(disc_run.card, Blend("no tile is exact", 64, lambda: None))
        (sentence,) = said
        planned = disc_run.card.tiles.size
        assert sentence == f"no tile is exact; in tiles of 64 pixels instead of {planned}, for want of memory"

    def test_is_said_and_measured_once_for_many_images(self, disc_run):
        measured = []
        said = Blended()
        for _ in range(3):
            said.hear(disc_run.card, Blend("no tile is exact", 1024, lambda: measured.append(1)))
        assert len(list(said)) == len(measured) == 1

    def test_of_an_image_in_memory(self, disc_run, image):
        predictor = blending(disc_run.path)
        predictor(np.load(image)[None])
        (sentence,) = predictor.blended
        assert "no tile of this network" in sentence
        assert "of the pixels change their class" in sentence


class TestLargeImages:
    """Block by block, blended tiles give the numbers that they give in memory."""

    def predict(self, predictor: Predictor, image: Path, out: Path, **options) -> np.ndarray:
        with images_are_large():
            predict_paths(predictor, [image], out, WANTED, **options)
        assert not list(out.rglob(".*.stage"))
        return tifffile.imread(out / "probabilities/big.tif")

    def test_are_those_of_the_image_in_memory(self, disc_run, image, tmp_path):
        predictor = blending(disc_run.path)
        expected = predictor(np.load(image)[None]).probabilities
        assert_allclose(self.predict(predictor, image, tmp_path / "out"), expected, atol=1e-6)

    def test_do_not_depend_on_the_room_in_memory(self, disc_run, image, tmp_path, monkeypatch):
        predictor = blending(disc_run.path)
        expected = self.predict(predictor, image, tmp_path / "much")
        monkeypatch.setattr(Execution, "scratch", lambda self, folder, networks: Scratch(folder, 0))
        assert_array_equal(self.predict(predictor, image, tmp_path / "little"), expected)

    def test_are_the_same_after_an_interruption(self, disc_run, image, tmp_path):
        def watch(pixels: int, share: float) -> None:
            seen.append(pixels)
            if len(seen) == 5:
                raise KeyboardInterrupt

        predictor, seen = blending(disc_run.path), []
        expected = self.predict(predictor, image, tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            self.predict(predictor, image, tmp_path / "cut", watch=watch)
        found = self.predict(predictor, image, tmp_path / "cut", resume=True)
        assert_array_equal(found, expected)

    def test_of_several_networks_are_the_mean(self, disc_run, image, tmp_path):
        predictor = blending(disc_run.path)
        expected = self.predict(predictor, image, tmp_path / "one")
        several = Predictor([disc_run.folder, disc_run.folder], "cpu")
        several.card = predictor.card
        several.members = [member._replace(card=predictor.card) for member in several.members]
        assert_allclose(self.predict(several, image, tmp_path / "two"), expected, atol=1e-6)
