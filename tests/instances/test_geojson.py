"""Objects as GeoJSON, as RFC 7946 and QuPath describe it."""

import json

import numpy as np
import pytest

from uvala.errors import ShapeError
from uvala.instances.geojson import to_geojson
from uvala.instances.measure import measure_objects

LABELS = np.array([[4, 4, 4, 0, 2], [4, 0, 4, 2, 0], [4, 4, 4, 0, 0]])
SQUARE = [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]]


def features(labels=LABELS, **options):
    return to_geojson(labels, class_name="nucleus", **options)["features"]


def test_there_is_a_feature_per_object_in_the_order_of_their_numbers():
    assert [feature["properties"]["name"] for feature in features()] == ["2", "4"]


def test_an_object_with_a_hole_is_a_polygon_of_two_rings():
    geometry = features()[1]["geometry"]
    assert geometry["type"] == "Polygon"
    assert geometry["coordinates"][0] == SQUARE
    assert {tuple(corner) for corner in geometry["coordinates"][1]} == {(1, 1), (2, 1), (2, 2), (1, 2)}


def test_an_object_in_parts_is_a_multipolygon():
    geometry = features()[0]["geometry"]
    assert geometry["type"] == "MultiPolygon"
    assert [len(polygon) for polygon in geometry["coordinates"]] == [1, 1]


def test_qupath_finds_type_class_and_colour():
    properties = features(object_type="annotation", colour=np.array([1, 2, 3], np.uint8))[0]["properties"]
    assert properties["objectType"] == "annotation"
    assert properties["classification"] == {"name": "nucleus", "color": [1, 2, 3]}


def test_scores_and_measurements_are_numbers_under_their_names():
    found = features(scores=np.array([0.5, 1], np.float32), measurements={"edge": np.array([True, False])})
    assert found[0]["properties"]["measurements"] == {"edge": 1, "score": 0.5, "label": 2}


def test_what_json_cannot_say_is_left_out():
    assert features(scores=[np.nan, 1])[0]["properties"]["measurements"] == {"label": 2}


def test_it_is_json_with_all_that_was_measured():
    columns = measure_objects(LABELS, LABELS[None].astype(np.uint16), foreground=LABELS / 4)
    collection = to_geojson(LABELS, class_name="cell", measurements=columns)
    assert json.loads(json.dumps(collection, allow_nan=False)) == collection
    assert collection["features"][1]["properties"]["measurements"]["score"] == 1


def test_no_objects_are_a_collection_without_features():
    assert to_geojson(np.zeros((3, 3), int), class_name="x", scores=[]) == {
        "type": "FeatureCollection",
        "features": [],
    }


@pytest.mark.parametrize("scores", [[1], [[1, 1]], ["a", "b"], [1, 2, 3]], ids=str)
def test_values_that_are_not_one_per_object_are_refused(scores):
    with pytest.raises(ShapeError, match="a number for each of the 2 objects"):
        features(scores=scores)
