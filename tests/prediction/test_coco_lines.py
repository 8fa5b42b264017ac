"""The objects of many images in one COCO file."""

import json

import numpy as np
import pytest

from uvala.instances.coco import CocoImage, to_coco
from uvala.prediction.coco_lines import CocoLines


def image(name: str, objects: int = 2) -> CocoImage:
    labels = np.zeros((6, 9), np.int32)
    for number in range(objects):
        labels[2 * number, number : number + 3] = number + 1
    return CocoImage(name, labels, np.linspace(0.5, 1, objects))


def written(folder, names, *, resume=False):
    lines = CocoLines(folder, resume=resume)
    for name in names:
        lines.add("cell", image(name))
    lines.finish()
    return json.loads((folder / "coco.json").read_text())


def test_the_file_is_that_of_all_images_at_once(tmp_path):
    assert written(tmp_path, "abc") == to_coco([image(name) for name in "abc"], ["cell"])
    assert [path.name for path in tmp_path.iterdir()] == ["coco.json"]


@pytest.mark.parametrize("finished", [False, True])
def test_gone_on_with_it_is_the_same(tmp_path, finished):
    first = CocoLines(tmp_path)
    for name in "ab":
        first.add("cell", image(name))
    if finished:
        first.finish()
    assert written(tmp_path, "cd", resume=True) == to_coco([image(name) for name in "abcd"], ["cell"])


def test_an_image_that_comes_again_replaces_itself(tmp_path):
    first = CocoLines(tmp_path)
    first.add("cell", image("a", objects=1))
    with (tmp_path / ".coco.jsonl").open("a") as stream:
        stream.write('{"images": [{"id"')  # cut off by a kill
    assert written(tmp_path, "ab", resume=True) == to_coco([image("a"), image("b")], ["cell"])


def test_a_new_one_takes_nothing_over(tmp_path):
    CocoLines(tmp_path).add("cell", image("old"))
    assert [each["file_name"] for each in written(tmp_path, "a")["images"]] == ["a"]
