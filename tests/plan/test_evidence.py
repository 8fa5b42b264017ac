"""What a plan is made from, in words."""

import pytest

from drawn import write_cells, write_discs
from uvala.data.dataset import read_dataset
from uvala.data.fingerprint import take_fingerprint
from uvala.plan.evidence import fact_lines


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    dataset = read_dataset(write_discs(tmp_path_factory.mktemp("evidence") / "data", count=3))
    return take_fingerprint(dataset, dataset.samples)


def lines(facts, numbered=False):
    return dict(fact_lines(facts, ("background", "disc"), numbered=numbered))


def test_tells_what_the_masks_ask_for_and_why(facts, tmp_path):
    assert lines(facts)["task"].startswith("classes: the masks name classes and not objects")
    assert lines(facts, numbered=True)["task"] == "objects, which the masks number"
    cells = read_dataset(write_cells(tmp_path / "cells", count=2))
    of_cells = lines(take_fingerprint(cells, cells.samples))
    assert of_cells["task"] == "membranes: 'background', 2 pixels thick, parts 16 cells in an image"


def test_tells_how_alike_images_are(facts):
    assert lines(facts)["likeness"].startswith("two images correlate by ")


def test_of_one_image_nobody_says_so(facts):
    assert "likeness" not in lines(facts.model_copy(update={"images": 1}))


def test_one_is_one(facts):
    one = facts.model_copy(update={"class_images": (3, 1)})
    assert lines(one)["classes"].endswith("in 1 image")
    looked = facts.objects.model_copy(update={"images": 1})
    assert "in 1 image that was looked at" in lines(facts.model_copy(update={"objects": looked}))["objects"]
