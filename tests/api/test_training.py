import json
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

import uvala
from trainings import train_quickly
from uvala.api.training import _default_out, _tidied
from uvala.errors import ConfigError, DataError, RunError, SplitError, StorageError, UnknownNameError
from uvala.log import read_events
from uvala.runs.folder import RunFolder


def weights(run):
    return load_file(run.folder.weights_path)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


class TestRunFolder:
    """A run folder holds all that is needed to use, judge and repeat the training."""

    @pytest.mark.parametrize(
        "name",
        [
            "plan.toml",
            "card.json",
            "model.safetensors",
            "split.json",
            "log.jsonl",
            "report.html",
            "scores.json",
            "scores.csv",
            "checkpoint/state.safetensors",
            "facts.json",
        ],
    )
    def test_holds(self, disc_run, name):
        assert (disc_run.path / name).stat().st_size > 0

    def test_the_card_tells_network_classes_encoding_and_training(self, disc_run):
        card = disc_run.card
        assert card.network.name == "pocket_unet"
        assert card.encoding.names == ("background", "foreground")
        assert [entry.values for entry in card.encoding.classes] == [(0,), (255,)]
        assert card.training.finished
        assert card.training.steps == 80

    def test_no_image_is_in_two_parts_of_the_split(self, disc_run):
        split = disc_run.folder.split
        assert len({*split.train, *split.val, *split.test}) == 12
        assert len(split.train) + len(split.val) + len(split.test) == 12

    def test_the_plan_gives_reasons(self, disc_run):
        text = disc_run.folder.plan_path.read_text()
        assert "# no class keeps to one side of the images\nflip_vertical = true" in text

    def test_nothing_temporary_is_left(self, disc_run):
        assert not list(disc_run.path.rglob("*.part"))


def test_a_pocket_network_learns_the_discs(disc_run, disc_data):
    assert disc_run.evaluate(disc_data, subset="all").mean_dice > 0.9


def test_the_same_seed_gives_the_same_weights_bit_for_bit(disc_data, tmp_path):
    one = train_quickly(disc_data, tmp_path / "one", steps=8, seed=3)
    other = train_quickly(disc_data, tmp_path / "other", steps=8, seed=3)
    assert same(weights(one), weights(other))


def test_another_seed_gives_other_weights(disc_data, tmp_path):
    one = train_quickly(disc_data, tmp_path / "one", steps=8, seed=3)
    other = train_quickly(disc_data, tmp_path / "other", steps=8, seed=4)
    assert not same(weights(one), weights(other))


class _CutOff(BaseException):
    """What a power cut is to the training: it ends between two events, without a word."""


def train_and_cut(data, out, after: int, **options):
    """A training of 20 steps that is cut off at its first event after so many; it validates every 5 steps."""

    def cut(event):
        if event.get("step", 0) > after:
            raise _CutOff

    with pytest.raises(_CutOff):
        train_quickly(data, out, steps=20, listener=cut, **options)


@pytest.fixture(scope="module")
def whole(disc_data, tmp_path_factory):
    """A training of 20 steps that was never stopped."""
    return train_quickly(disc_data, tmp_path_factory.mktemp("whole") / "run", steps=20)


class TestResume:
    """P16: a resumed training is the training that was never stopped."""

    @pytest.mark.parametrize("after", [2, 5, 10, 15], ids=lambda after: f"cut after step {after}")
    def test_equals_uninterrupted_training_bit_for_bit(self, disc_data, tmp_path, whole, after):
        train_and_cut(disc_data, tmp_path / "cut", after)
        resumed = uvala.train(disc_data, out=tmp_path / "cut", resume=True)
        assert same(weights(whole), weights(resumed))
        assert whole.card.training.best_step == resumed.card.training.best_step

    def test_with_dropout_too(self, disc_data, tmp_path):
        options = {"model": "unet", "settings": {"model.options": {"dropout": 0.5, "width": 4, "depth": 2}}}
        whole = train_quickly(disc_data, tmp_path / "whole", steps=20, **options)
        train_and_cut(disc_data, tmp_path / "cut", 10, **options)
        assert same(weights(whole), weights(uvala.train(disc_data, out=tmp_path / "cut", resume=True)))

    @pytest.mark.parametrize("after", [3, 10, 12], ids=lambda after: f"stopped after step {after}")
    def test_after_a_clean_stop_too(self, disc_data, tmp_path, whole, after):
        asked = []

        def stop(event):
            if event.get("step", 0) >= after and not asked:
                asked.append(event)  # a second Ctrl-C would stop at once
                signal.raise_signal(signal.SIGINT)

        stopped = train_quickly(disc_data, tmp_path / "cut", steps=20, listener=stop)
        assert not stopped.card.training.finished
        resumed = uvala.train(disc_data, out=tmp_path / "cut", resume=True)
        assert resumed.card.training.finished
        assert "stopped at step" not in resumed.report.read_text()
        if after > 4:  # before the first validation a stop has to make one, so that there are weights
            assert same(weights(whole), weights(resumed))

    def test_no_step_stands_in_the_log_twice(self, disc_data, tmp_path):
        train_and_cut(disc_data, tmp_path / "cut", 10)
        uvala.train(disc_data, out=tmp_path / "cut", resume=True)
        steps = [
            event["step"]
            for event in read_events(tmp_path / "cut/log.jsonl")
            if event["event"] == "validation"
        ]
        assert steps == sorted(set(steps)) == [5, 10, 15, 20]

    def test_finds_the_data_where_they_were(self, disc_data, tmp_path):
        train_and_cut(disc_data, tmp_path / "cut", 15)
        assert uvala.train(tmp_path / "cut", resume=True).card.training.finished

    def test_needs_the_folder(self, disc_data):
        with pytest.raises(ConfigError, match="uvala train DATA --resume --out RUN"):
            uvala.train(disc_data, resume=True)

    def test_of_a_finished_training_is_refused(self, disc_run, disc_data):
        with pytest.raises(RunError, match="whose training is finished"):
            uvala.train(disc_data, out=disc_run.path, resume=True)

    def test_by_the_same_command_is_fine(self, disc_data, tmp_path):
        train_and_cut(disc_data, tmp_path / "cut", 10, seed=3)
        assert train_quickly(
            disc_data, tmp_path / "cut", steps=20, seed=3, resume=True
        ).card.training.finished

    def test_keeps_its_plan(self, disc_run, disc_data):
        settings = {"patches.size": 64}
        with pytest.raises(ConfigError, match=r"--resume together with another patches\.size, seed"):
            uvala.train(disc_data, out=disc_run.path, resume=True, seed=4, settings=settings)

    def test_without_one_of_its_images_is_refused(self, disc_data, tmp_path):
        data = shutil.copytree(disc_data, tmp_path / "data")
        train_and_cut(data, tmp_path / "cut", 5)
        (data / "images/03.png").unlink()
        with pytest.raises(SplitError, match=r"no image 03\.png"):
            uvala.train(data, out=tmp_path / "cut", resume=True)

    def test_with_a_mask_that_was_redrawn_is_refused(self, disc_data, tmp_path):
        data = shutil.copytree(disc_data, tmp_path / "data")
        train_and_cut(data, tmp_path / "cut", 5)
        one, two, *_ = sorted((data / "masks").iterdir())
        shutil.copyfile(one, two)
        with pytest.raises(SplitError, match=rf"1 changed mask in .*, such as {two.stem}"):
            uvala.train(data, out=tmp_path / "cut", resume=True)
        (tmp_path / "cut/masks.json").unlink()  # a run of before
        assert uvala.train(data, out=tmp_path / "cut", resume=True).card.training.finished

    def test_of_a_damaged_checkpoint_is_refused(self, disc_data, tmp_path):
        train_and_cut(disc_data, tmp_path / "run", 5)
        (tmp_path / "run/checkpoint/state.safetensors").write_bytes(b"not a checkpoint")
        with pytest.raises(RunError, match="train anew"):
            uvala.train(disc_data, out=tmp_path / "run", resume=True)


class TestBudget:
    """P13: a training lasts as long as its user said, and no longer."""

    @pytest.mark.slow  # ten seconds is the shortest budget there is
    def test_everything_is_done_within_the_budget(self, disc_data, tmp_path):
        began = time.monotonic()
        run = uvala.train(
            disc_data, out=tmp_path / "run", budget="12s", model="pocket_unet", settings={"patches.size": 32}
        )
        assert run.report.is_file()
        assert time.monotonic() - began < 12 + 5

    @pytest.mark.slow  # starts Python and torch, and trains for a few seconds
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
    def test_a_stop_leaves_a_usable_run(self, disc_data, tmp_path, number):
        command = [sys.executable, "-m", "uvala", "train", disc_data, "--out", tmp_path / "run", "--budget",
        "10m",
                   "--model", "pocket_unet", "--device", "cpu"]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        log = tmp_path / "run/log.jsonl"
        while process.poll() is None and not any(event["event"] == "step" for event in read_events(log)):
            time.sleep(0.1)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130, stderr
        run = uvala.load_run(tmp_path / "run")
        assert not run.card.training.finished
        assert run.report.is_file()
        assert run.predict(np.zeros((20, 30), np.uint8)).mask.shape == (20, 30)


class TestWrongInput:
    def test_a_folder_with_another_run_is_not_touched(self, disc_run, disc_data):
        before = disc_run.folder.weights_path.read_bytes()
        with pytest.raises(StorageError, match="which holds another run"):
            train_quickly(disc_data, disc_run.path)
        assert disc_run.folder.weights_path.read_bytes() == before

    def test_a_folder_with_other_files_is_not_touched(self, disc_data, tmp_path):
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(StorageError, match="already holds files"):
            train_quickly(disc_data, tmp_path)

    def test_an_unknown_network_suggests_the_nearest(self, disc_data, tmp_path):
        with pytest.raises(UnknownNameError, match="did you mean 'unet'"):
            uvala.train(disc_data, out=tmp_path / "run", model="ubet", epochs=1)

    def test_an_unknown_setting_suggests_the_nearest(self, disc_data, tmp_path):
        with pytest.raises(ConfigError, match=r"did you mean 'patches\.size'"):
            uvala.train(disc_data, out=tmp_path / "run", epochs=1, settings={"patch.size": 64})

    def test_a_budget_and_epochs_together_are_refused(self, disc_data, tmp_path):
        with pytest.raises(ConfigError, match="one of budget, steps and epochs"):
            uvala.train(disc_data, out=tmp_path / "run", epochs=1, budget="10m")

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"model.options.width": 0}, "width = 0"),
            ({"model.options": {"widht": 8}}, "did you mean 'width'"),
            ({"loss.class_weights": [1.0, 2.0, 3.0]}, "3 numbers in loss.class_weights; expected 2"),
            ({"augment.scale": [0, 1]}, "the smaller number first, and both above 0"),
            ({"seed": 2**35}, "seed = 34359738368"),
            ({"patches.batch": 3, "augment.cutmix_probability": 0.5}, "an even number of patches"),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else "",
    )
    def test_an_impossible_setting_is_refused_and_leaves_nothing(self, disc_data, tmp_path, settings, words):
        with pytest.raises(ConfigError, match=re.escape(words)):
            uvala.train(disc_data, out=tmp_path / "run", epochs=1, settings=settings)
        assert not (tmp_path / "run").exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
    def test_a_disk_that_is_full_is_one_sentence_and_leaves_no_half_run(self, disc_data, tmp_path):
        # what a full disk answers to a file of weights, a limit on the size of files answers too
        code = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
        code += "runpy.run_module('uvala', run_name='__main__', alter_sys=True)"
        words = ["train", disc_data, "--out", tmp_path / "run", "--epochs", "1", "--model", "pocket_unet"]
        result = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
        )
        assert result.returncode == 2, result.stderr
        assert "found no space left while writing" in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (tmp_path / "run").exists()

    def test_nothing_is_left_of_a_refused_training(self, tmp_path):
        with pytest.raises(uvala.UvalaError):
            uvala.train(tmp_path / "nowhere", out=tmp_path / "run", epochs=1)
        assert not (tmp_path / "run").exists()


def test_scores_in_the_folder_are_those_of_the_evaluation(disc_run, disc_data):
    stored = json.loads(disc_run.folder.scores_path.read_text())
    assert stored["mean_dice"] == pytest.approx(
        disc_run.evaluate(disc_data, subset=stored["subset"]).mean_dice
    )


@pytest.mark.parametrize(("name", "kept"), [("state", True), ("state.previous", True), ("start", False)])
def test_a_training_that_fails_keeps_its_checkpoint_but_not_its_start(tmp_path, name, kept):
    file = tmp_path / f"run/checkpoint/{name}.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(DataError), _tidied(RunFolder(tmp_path / "run")):
        raise DataError(found="an image less", expected="all of them", fix="bring it back")
    assert file.is_file() == kept


class TestTwoAtOnce:
    """No training gets into the folder of another, however early that one is."""

    def test_a_folder_for_which_another_is_planned_is_refused(self, disc_data, tmp_path):
        refused = []

        def begin_another(event):
            if event["event"] == "facts":
                with pytest.raises(StorageError, match="another process is at work"):
                    train_quickly(disc_data, tmp_path / "run", steps=1)
                refused.append(event)

        run = train_quickly(disc_data, tmp_path / "run", steps=1, listener=begin_another)
        assert refused
        assert run.card.training.finished

    def test_a_folder_whose_planning_was_killed_is_taken(self, disc_data, tmp_path):
        (tmp_path / ".lock").touch()
        assert train_quickly(disc_data, tmp_path, steps=1).card.training.finished

    def test_each_has_a_default_folder_of_its_own(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        names = {_default_out(tmp_path / "cells") for _ in range(3)}
        assert len(names) == 3
        assert all(path.is_dir() and path.name.startswith("cells-") for path in names)


def test_a_run_knows_which_manifest_it_was_trained_on(disc_data, tmp_path):
    data = shutil.copytree(disc_data, tmp_path / "data")
    names = sorted(path.name for path in (data / "images").iterdir())
    for manifest, chosen in (("few.csv", names[:5]), ("others.csv", names[5:])):
        rows = [f"images/{name},masks/{name}" for name in chosen]
        (data / manifest).write_text("\n".join(["image,mask", *rows]))
    train_and_cut(data / "few.csv", tmp_path / "run", 5)
    resumed = uvala.train(tmp_path / "run", resume=True)
    assert resumed.card.training.finished
    assert (resumed.card.data.name, resumed.card.data.path) == ("few", str(data / "few.csv"))


def test_predictions_go_into_a_folder_at_home(disc_run, disc_data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    disc_run.predict_files([disc_data / "images/00.png"], "~/predicted")
    assert [path.name for path in (tmp_path / "predicted").glob("*.png")] == ["00.png"]
    assert not (tmp_path / "~").exists()
