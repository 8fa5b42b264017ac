import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from drawn import write_discs

ENVIRONMENT = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


def uvala(*arguments, check: int | None = None) -> subprocess.CompletedProcess:
    """The command as a user starts it."""
    command = [sys.executable, "-m", "uvala", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    if check is not None:
        assert result.returncode == check, result.stdout + result.stderr
    return result


def test_help_lists_the_commands():
    text = uvala("--help", check=0).stdout
    for command in ("train", "predict", "evaluate", "check", "sample-data", "models", "cache"):
        assert f"\n  {command} " in text


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["check", "--help"]], ids=" ".join)
def test_help_loads_no_heavy_package(arguments):
    code = (
        "import sys, runpy; sys.argv = ['uvala', *sys.argv[1:]]\n"
        "try: runpy.run_module('uvala', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('heavy:', {'torch', 'timm', 'scipy', 'skimage', 'numpy'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("heavy: set()\n"), result.stdout[-300:]


def test_importing_uvala_loads_nothing_heavy():
    code = "import sys, uvala; print({'torch', 'numpy', 'pydantic', 'PIL'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_help_of_an_option_is_the_sentence_of_the_schema():
    from uvala.plan.schema import Plan

    assert Plan.model_fields["seed"].description[1:] in " ".join(
        uvala("train", "--help", check=0).stdout.split()
    )


class TestErrors:
    """What is wrong with the input is one sentence and exit code 2; the traceback is for those who ask."""

    def test_one_line_no_traceback(self, tmp_path):
        result = uvala("train", tmp_path / "nowhere", check=2)
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("uvala: found ")
        assert "Traceback" not in result.stderr

    def test_what_does_not_fit_into_the_memory(self, disc_data, tmp_path):
        settings = ["patches.size=2000000", "length.steps=1", "model.name=pocket_unet", "device=cpu"]
        options = [word for each in settings for word in ("--set", each)]
        result = uvala("train", disc_data, "--out", tmp_path / "run", *options, check=2)
        assert "not enough memory" in result.stderr
        assert "Traceback" not in result.stderr

    @pytest.mark.parametrize("place", ["before", "after"])
    def test_debug_shows_the_traceback(self, tmp_path, place):
        words = ["train", tmp_path / "nowhere"]
        result = uvala(*(["--debug", *words] if place == "before" else [*words, "--debug"]))
        assert result.returncode == 1
        assert "Traceback" in result.stderr

    def test_a_budget_of_three_seconds(self, disc_data, tmp_path):
        result = uvala("train", disc_data, "--out", tmp_path / "run", "--budget", "3s", check=2)
        assert "found a budget of 3 s; expected at least 10 s" in result.stderr
        assert not (tmp_path / "run").exists()

    def test_an_output_folder_with_another_run(self, disc_data, disc_run):
        result = uvala("train", disc_data, "--out", disc_run.path, "--epochs", 1, check=2)
        assert "which holds another run" in result.stderr

    def test_a_run_that_is_not_a_run(self, disc_data):
        result = uvala("evaluate", disc_data, disc_data, check=2)
        assert "neither a run nor masks alone" in result.stderr

    def test_a_run_of_another_version(self, disc_run, disc_data, tmp_path):
        card = json.loads((disc_run.path / "card.json").read_text())
        (tmp_path / "card.json").write_text(json.dumps({**card, "format": 99, "uvala": "9.0"}))
        result = uvala("evaluate", tmp_path, disc_data, check=2)
        assert "of format 99, written by uvala 9.0" in result.stderr

    def test_a_run_without_weights(self, disc_run, tmp_path):
        (tmp_path / "card.json").write_text((disc_run.path / "card.json").read_text())
        Image.new("L", (8, 8)).save(tmp_path / "a.png")
        result = uvala("predict", tmp_path, tmp_path / "a.png", "--out", tmp_path / "out", check=2)
        assert "stopped before its first validation" in result.stderr


class TestPredict:
    def test_writes_masks_in_the_users_encoding(self, disc_run, disc_data, tmp_path):
        uvala("predict", disc_run.path, disc_data / "images", "--out", tmp_path / "out", check=0)
        masks = sorted((tmp_path / "out").glob("*.png"))
        assert [mask.name for mask in masks] == [f"{index:02d}.png" for index in range(12)]
        assert set(np.unique(np.array(Image.open(masks[0])))) == {0, 255}

    def test_takes_globs_and_writes_overlays_and_probabilities(self, disc_run, disc_data, tmp_path):
        words = ["--out", tmp_path / "out", "--overlay", "--probabilities"]
        uvala("predict", disc_run.path, disc_data / "images" / "0*.png", *words, check=0)
        with Image.open(tmp_path / "out/overlays/03.png") as overlay:
            assert overlay.mode == "RGB"
        assert len(list((tmp_path / "out/probabilities").glob("*.tif"))) == 10

    def test_skips_what_it_cannot_read_and_says_so_by_exit_code_1(self, disc_run, disc_data, tmp_path):
        (tmp_path / "in").mkdir()
        good = (disc_data / "images/00.png").read_bytes()
        (tmp_path / "in/good.png").write_bytes(good)
        (tmp_path / "in/cut.png").write_bytes(good[: len(good) // 2])
        result = uvala("predict", disc_run.path, tmp_path / "in", "--out", tmp_path / "out", check=1)
        assert (tmp_path / "out/good.png").is_file()
        assert "cut.png" in result.stderr
        assert "1 of 2 images could not be predicted" in result.stderr

    def test_an_image_with_other_channels_is_skipped_and_told(self, disc_run, tmp_path):
        Image.new("RGB", (20, 20), (200, 10, 10)).save(tmp_path / "a.png")
        result = uvala("predict", disc_run.path, tmp_path / "a.png", "--out", tmp_path / "out", check=1)
        assert "an image of 3 channels; expected 1" in result.stderr

    def test_names_that_would_collide_keep_their_suffix(self, disc_run, disc_data, tmp_path):
        image = Image.open(disc_data / "images/00.png")
        image.save(tmp_path / "a.png")
        image.save(tmp_path / "a.tif")
        uvala(
            "predict",
            disc_run.path,
            tmp_path / "a.png",
            tmp_path / "a.tif",
            "--out",
            tmp_path / "out",
            check=0,
        )
        assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["a_png.png", "a_tif.png"]

    def test_nothing_to_predict(self, disc_run, tmp_path):
        result = uvala("predict", disc_run.path, tmp_path / "*.png", "--out", tmp_path / "out", check=2)
        assert "expected images to predict" in result.stderr


class TestEvaluate:
    def test_prints_a_table_and_writes_json_and_csv(self, disc_run, disc_data, tmp_path):
        words = ["--subset", "all", "--json", tmp_path / "s.json", "--csv", tmp_path / "s.csv"]
        result = uvala("evaluate", disc_run.path, disc_data, *words, check=0)
        assert "foreground" in result.stdout
        assert len(json.loads((tmp_path / "s.json").read_text())["images"]) == 12
        assert len((tmp_path / "s.csv").read_text().splitlines()) == 13

    def test_data_that_was_never_trained_on_is_scored_as_a_whole(self, disc_run, tmp_path):
        other = write_discs(tmp_path / "other", count=3, size=(30, 50))
        for path in [*other.glob("*/*")]:
            path.rename(path.with_name(f"new_{path.name}"))
        uvala("evaluate", disc_run.path, other, "--json", tmp_path / "s.json", check=0)
        assert len(json.loads((tmp_path / "s.json").read_text())["images"]) == 3

    def test_a_subset_without_images_names_those_that_have_some(self, disc_run, disc_data):
        result = uvala("evaluate", disc_run.path, disc_data, "--subset", "test", check=2)
        assert "val (" in result.stderr


@pytest.mark.slow  # starts the command four times and draws images
def test_the_way_of_a_newcomer(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    uvala("sample-data", data, "--count", 8, "--size", 128, check=0)
    uvala("check", data, check=0)
    result = uvala("train", data, "--out", run, "--budget", "15s", "--model", "pocket_unet", check=0)
    assert "mean Dice" in result.stdout
    uvala("predict", run, data / "images", "--out", tmp_path / "masks", "--overlay", check=0)
    assert np.array(Image.open(tmp_path / "masks/cell_000.png")).dtype == np.uint16
