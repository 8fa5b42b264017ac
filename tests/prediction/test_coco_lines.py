"""The objects of many images in one COCO file."""

import json
import os
from contextlib import suppress

import numpy as np
import pytest

from uvala.arrays import Size
from uvala.errors import StorageError
from uvala.instances.coco import CocoImage, to_coco
from uvala.prediction.coco_lines import CocoLines


def image(name: str, objects: int = 2) -> CocoImage:
    labels = np.zeros((6, 9), np.int32)
    for number in range(objects):
        labels[2 * number, number : number + 3] = number + 1
    return CocoImage(name, labels, np.linspace(0.5, 1, objects))


def listed(images):
    """The file of images whose results are called as they are."""
    content = to_coco(images, ["cell"])
    for each in content["images"]:
        each["result"] = each["file_name"]
    return content


def written(folder, names, *, resume=False):
    lines = CocoLines(folder, resume=resume)
    for name in names:
        lines.add("cell", name, image(name))
    lines.finish()
    return json.loads((folder / "coco.json").read_text())


def test_the_file_is_that_of_all_images_at_once(tmp_path):
    assert written(tmp_path, "abc") == listed([image(name) for name in "abc"])
    assert [path.name for path in tmp_path.iterdir()] == ["coco.json"]


@pytest.mark.parametrize("finished", [False, True])
def test_gone_on_with_it_is_the_same(tmp_path, finished):
    first = CocoLines(tmp_path)
    for name in "ab":
        first.add("cell", name, image(name))
    if finished:
        first.finish()
    assert written(tmp_path, "cd", resume=True) == listed([image(name) for name in "abcd"])


def test_an_image_that_comes_again_replaces_itself(tmp_path):
    first = CocoLines(tmp_path)
    first.add("cell", "a", image("a", objects=1))
    with (tmp_path / ".coco.jsonl").open("a") as stream:
        stream.write('{"images": [{"id"')  # cut off by a kill
    assert written(tmp_path, "ab", resume=True) == listed([image("a"), image("b")])


def test_an_image_that_was_cut_off_anywhere_does_not_count(tmp_path):
    first = CocoLines(tmp_path)
    first.add("cell", "a", image("a"))
    end = first.lines.stat().st_size
    first.add("cell", "b", image("b"))
    content = first.lines.read_bytes()
    for cut in range(end, len(content) - 1, 5):
        first.lines.write_bytes(content[:cut])
        assert written(tmp_path, "c", resume=True) == listed([image("a"), image("c")])
        (tmp_path / "coco.json").unlink()


def test_an_image_whose_objects_failed_does_not_count(tmp_path):
    lines = CocoLines(tmp_path)
    with suppress(ZeroDivisionError), lines.adding("cell", "b", "b", Size(6, 9)) as annotate:
        annotate('{"area":3}')
        annotate(str(1 / 0))
    lines.add("cell", "a", image("a"))
    lines.finish()
    assert json.loads((tmp_path / "coco.json").read_text()) == listed([image("a")])


@pytest.mark.parametrize("resume", [False, True])
def test_images_of_one_name_are_told_apart_by_what_their_results_are_called(tmp_path, resume):
    lines = CocoLines(tmp_path)
    for number, result in enumerate(["x_png", "x_png_2"], start=1):
        lines.add("cell", result, image("x.png", objects=number))
    lines.finish()
    if resume:
        lines = CocoLines(tmp_path, resume=True)
        lines.add("cell", "y", image("y.png", objects=0))
        lines.finish()
    content = json.loads((tmp_path / "coco.json").read_text())
    names = [(each["result"], each["file_name"]) for each in content["images"]]
    assert names == [("x_png", "x.png"), ("x_png_2", "x.png"), ("y", "y.png")][: 2 + resume]
    assert [each["image_id"] for each in content["annotations"]] == [1, 2, 2]


@pytest.mark.parametrize("objects", [(0, 0, 2), (2, 0, 1), (1, 2, 0)], ids=str)
def test_images_without_objects_stay_in_a_file_that_is_gone_on_with(tmp_path, objects):
    images = [image(name, count) for name, count in zip("abc", objects, strict=True)]
    for each in images:
        lines = CocoLines(tmp_path, resume=True)
        lines.add("cell", each.file_name, each)
        lines.finish()
    assert json.loads((tmp_path / "coco.json").read_text()) == listed(images)


def test_a_file_to_which_nothing_comes_is_not_written_again(tmp_path):
    written(tmp_path, "ab")
    before = (tmp_path / "coco.json").stat()
    CocoLines(tmp_path, resume=True).finish()
    assert os.path.samestat((tmp_path / "coco.json").stat(), before)


def test_a_file_that_others_wrote_is_not_gone_on_with(tmp_path):
    content = json.dumps(written(tmp_path, "ab"), indent=1)
    (tmp_path / "coco.json").write_text(content)
    with pytest.raises(StorageError, match="not as uvala wrote it"):
        written(tmp_path, "c", resume=True)
    assert (tmp_path / "coco.json").read_text() == content


def test_names_that_are_no_utf_8_come_back(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    for each in (name, "ä\u2028.png"):
        written(tmp_path, [each], resume=True)
    images = json.loads((tmp_path / "coco.json").read_text())["images"]
    assert [each["file_name"] for each in images] == [name, "ä\u2028.png"]


def test_a_new_one_takes_nothing_over(tmp_path):
    CocoLines(tmp_path).add("cell", "old", image("old"))
    assert [each["file_name"] for each in written(tmp_path, "a")["images"]] == ["a"]
