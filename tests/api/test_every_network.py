"""Every network trains on real patches and predicts an image of an awkward size."""

import numpy as np
import pytest
from PIL import Image

import uvala
from members import small_member
from uvala.models.catalog import model_names
from uvala.runs.card import Card

SIDE = 128  # of the patches
EXTENT = (333, 517)  # of the image to predict: no multiple of anything


@pytest.fixture(scope="module")
def isbi(shared, tmp_path_factory):
    """Patches of electron microscopy with their masks: images/ and masks/."""
    folder = tmp_path_factory.mktemp("isbi")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
        for name in ("00", "08", "16", "23"):
            with Image.open(shared / "data" / "isbi2012" / kind / f"{name}.png") as picture:
                picture.crop((100, 50, 100 + SIDE, 50 + SIDE)).save(folder / kind / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def awkward(shared):
    """An image [333, 517] of two slices side by side."""
    pictures = [np.array(Image.open(shared / f"data/isbi2012/images/{name}.png")) for name in ("02", "03")]
    return np.concatenate(pictures, axis=1)[: EXTENT[0], : EXTENT[1]]


@pytest.mark.parametrize("name", model_names())
def test_trains_a_step_and_predicts(name, isbi, awkward, tmp_path):
    member, options = small_member(name)
    settings = {f"model.options.{option}": value for option, value in options.items()}
    settings |= {
        "length.steps": 1,
        "patches.size": 64,
        "patches.batch": 2,
        "validation.rounds": 1,
        "tiles.whole_below": 0,  # so that the large image goes in tiles
        "tiles.size": 128,
    }
    run = uvala.train(isbi, out=tmp_path / "run", model=member, device="cpu", settings=settings)
    assert run.card.training.finished
    prediction = run.predict(awkward)
    assert prediction.mask.shape == EXTENT
    assert set(np.unique(prediction.mask)) <= set(range(run.card.network.num_classes))
    if not run.predictor.blended:
        run.predictor.card = with_tiles(run.card, whole_below=awkward.size)
        whole = run.predict(awkward)
        np.testing.assert_allclose(prediction.probabilities, whole.probabilities, rtol=0, atol=5e-6)


def with_tiles(card: Card, **settings: int) -> Card:
    """The same card with other settings of its tiles."""
    return card.model_copy(update={"tiles": card.tiles.model_copy(update=settings)})
