"""Scores on disk."""

import json

import pytest

from scored_rows import scored
from uvala.arrays import IGNORE
from uvala.errors import RunError
from uvala.evaluation.scores import Scores


@pytest.fixture(scope="module")
def scores():
    return scored(([0, 1, 1, 0], [0, 1, 0, 0]), ([0, 0, 0, 0], [0, 0, 0, 0]), ([1, 1], [IGNORE, IGNORE]))


class TestJson:
    """What is written is what is read."""

    def test_scores_survive_the_round_trip(self, scores, tmp_path):
        scores.to_json(tmp_path / "scores.json")
        assert Scores.from_json(tmp_path / "scores.json") == scores

    def test_what_has_no_score_is_null_so_that_every_reader_of_json_can_read_it(self, scores, tmp_path):
        scores.to_json(tmp_path / "scores.json")
        content = json.loads((tmp_path / "scores.json").read_text(), parse_constant=pytest.fail)
        assert content["classes"][2]["dice"] is None

    @pytest.mark.parametrize("content", ["", "{}", "[1]", "null", '{"subset": "test"}', "\x00"])
    def test_another_file_is_refused_by_name(self, content, tmp_path):
        (tmp_path / "scores.json").write_text(content)
        with pytest.raises(RunError, match=r"scores\.json, which cannot be read as scores"):
            Scores.from_json(tmp_path / "scores.json")

    def test_an_older_file_without_the_newer_fields_is_read(self, scores, tmp_path):
        scores.to_json(tmp_path / "scores.json")
        content = json.loads((tmp_path / "scores.json").read_text())
        wanted = ("subset", "policy", "classes", "mean_dice", "mean_iou", "accuracy", "confusion", "images")
        old = {name: content[name] for name in wanted}
        for part in (*old["classes"], *old["images"]):
            for name in {"dice_interval", "matthews", "group", "content", "measures"} & set(part):
                del part[name]
        (tmp_path / "old.json").write_text(json.dumps(old))
        read = Scores.from_json(tmp_path / "old.json")
        assert (read.mean_dice, read.task, read.measures) == (scores.mean_dice, "semantic", ())

    def test_a_file_that_is_not_there_is_refused_by_name(self, tmp_path):
        with pytest.raises(RunError, match=r"none\.json"):
            Scores.from_json(tmp_path / "none.json")
