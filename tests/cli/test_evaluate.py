"""`uvala evaluate` as a user starts it."""

import json
import os
import subprocess
import sys

from drawn import write_discs


def evaluate(*arguments, check):
    command = [sys.executable, "-m", "uvala", "evaluate", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == check, result.stdout + result.stderr
    return result


def test_a_run_prints_the_score_of_the_task_first_and_writes_its_files(disc_run, disc_data, tmp_path):
    lines = evaluate(
        disc_run.path, disc_data, "--subset", "all", "--task", "instances", "--out", tmp_path / "out", check=0
    ).stdout.splitlines()
    assert lines[0] == "all: 12 images, task instances (as asked for)"
    assert lines[1].startswith("mean AP ")
    assert max(map(len, lines[:-1])) <= 100
    assert lines[-1].startswith("written  scores.json, scores.csv, report.html in ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "scores.json",
        "scores.csv",
        "report.html",
    }


def test_masks_of_any_tool_are_scored_and_leave_no_file(tmp_path):
    data = write_discs(tmp_path / "data", count=3)
    result = evaluate(data / "masks", data, "--json", tmp_path / "s.json", check=0)
    assert "mean Dice 1.0000" in result.stdout
    assert "written" not in result.stdout
    assert json.loads((tmp_path / "s.json").read_text())["subset"] == "all"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "s.json"}


def test_a_size_of_pixels_without_a_unit_is_one_sentence(tmp_path):
    data = write_discs(tmp_path / "data", count=3)
    result = evaluate(data / "masks", data, "--spacing", "0.5", check=2)
    assert "--unit um" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_what_is_neither_a_run_nor_masks_is_told_that_both_are_possible(tmp_path):
    data = write_discs(tmp_path / "data", count=3)
    (tmp_path / "empty").mkdir()
    for folder, problem in ((tmp_path / "empty", "is empty"), (data, "neither a run nor masks alone")):
        said = evaluate(folder, data, check=2).stderr
        assert problem in said
        assert "a run folder" in said
        assert "a folder of predicted masks named like the images" in said


def test_a_place_that_cannot_be_written_is_told_before_anything_is_scored(tmp_path):
    result = evaluate(tmp_path / "no masks", tmp_path / "no data", "--csv", tmp_path, check=2)
    assert result.stderr.strip().endswith("choose another --csv")


def test_help_loads_no_heavy_package():
    code = (
        "import sys, runpy; sys.argv = ['uvala', 'evaluate', '--help']\n"
        "try: runpy.run_module('uvala', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('heavy:', {'torch', 'timm', 'scipy', 'skimage', 'numpy'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("heavy: set()\n"), result.stdout[-300:]
