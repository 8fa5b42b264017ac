"""The options of `uvala train`, `uvala recipes` and `uvala predict --tta`, in this process."""

import sys

import numpy as np
import pytest
from PIL import Image

from trainings import train_quickly
from uvala.cli.main import main
from uvala.plan.recipes import recipe_names, recipe_text


@pytest.fixture
def uvala(monkeypatch, capsys):
    """The command in this process: (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["uvala", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        captured = capsys.readouterr()
        return exit.value.code or 0, captured.out, captured.err

    return run


class TestWrongCombinations:
    """One sentence, exit code 2, and nothing is left behind."""

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--recipe", "nnunett"], "found recipe 'nnunett'; expected the name of a recipe"),
            (["--recipe", "nnunet", "--plan", "x.toml"], "a recipe and a plan file together"),
            (["--plan", "gone.toml"], "no file gone.toml"),
            (["--budget", "+10m"], "--budget +10m for a new training"),
            (["--budget", "10m", "--epochs", "2"], "budget and epochs together"),
            (["--folds", "0"], "folds = 0"),
            (["--folds", "5", "--budget", "30s"], "a budget of 30 s for 5 folds"),
            (["--folds", "9", "--epochs", "1", "--set", "patches.size=32"], "for 9 folds"),
            (["--from", "nowhere"], "no folder nowhere"),
            (["--set", "optimiser.nesterov=true"], "nesterov is a form of SGD's momentum"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_is_refused(self, uvala, small_data, tmp_path, options, words):
        code, _, error = uvala("train", small_data, "--out", tmp_path / "run", *options)
        assert code == 2
        assert words in error
        assert error.count("\n") == 1
        assert not (tmp_path / "run").exists()

    def test_no_data(self, uvala):
        code, _, error = uvala("train", "--epochs", "1")
        assert (code, error.count("\n")) == (2, 1)
        assert "name it: uvala train DATA" in error

    def test_to_resume_nothing(self, uvala):
        code, _, error = uvala("train", "--resume")
        assert (code, error.count("\n")) == (2, 1)
        assert "uvala train --resume RUN" in error

    @pytest.mark.parametrize(
        "options", [["--recipe", "nnunet"], ["--folds", "3"], ["--seed", "9"], ["--from", "x"]], ids=" ".join
    )
    def test_to_resume_another_training(self, uvala, disc_run, options):
        code, _, error = uvala("train", "--resume", disc_run.path, *options)
        assert (code, error.count("\n")) == (2, 1)
        assert "--resume together with another" in error


@pytest.fixture(scope="module")
def small_data(disc_data, tmp_path_factory):
    """Four of the discs."""
    folder = tmp_path_factory.mktemp("small") / "data"
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
        for name in ("00.png", "01.png", "02.png", "03.png"):
            (folder / kind / name).write_bytes((disc_data / kind / name).read_bytes())
    return folder


class TestRecipes:
    def test_are_named_in_the_help_of_train(self, uvala):
        _, text, _ = uvala("train", "--help")
        assert all(name in "".join(text.split()) for name in recipe_names())

    def test_are_listed_with_their_titles(self, uvala):
        code, text, _ = uvala("recipes")
        assert code == 0
        assert [line.split()[0] for line in text.splitlines()] == recipe_names()

    def test_one_is_printed_as_a_plan_file(self, uvala):
        assert uvala("recipes", "unet-paper") == (0, recipe_text("unet-paper"), "")

    def test_an_unknown_one_is_refused(self, uvala):
        code, _, error = uvala("recipes", "unet-papr")
        assert code == 2
        assert "did you mean 'unet-paper'" in error


def test_a_resume_needs_nothing_but_the_run(uvala, small_data, tmp_path):
    def cut(event):
        if event.get("step", 0) > 2:
            raise SystemExit

    with pytest.raises(SystemExit):
        train_quickly(small_data, tmp_path / "run", steps=8, listener=cut)
    code, text, _ = uvala("train", "--resume", tmp_path / "run")
    assert code == 0
    assert "resumed after step 2" in text


class TestTestTime:
    """P27: averaged views are the mean of the views."""

    @pytest.fixture
    def image(self, disc_data, tmp_path):
        Image.open(disc_data / "images/00.png").save(tmp_path / "a.png")
        return tmp_path / "a.png"

    def predict(self, uvala, run, image, out, *options):
        code, _, error = uvala("predict", run.path, image, "--out", out, "--probabilities", *options)
        assert code == 0, error
        with Image.open(out / "probabilities/a.tif") as pages:
            return np.array(pages)

    def test_views_are_averaged_when_asked_for(self, uvala, disc_run, image, tmp_path):
        once, planned, views = (
            self.predict(uvala, disc_run, image, tmp_path / name, *options)
            for name, options in (("once", ["--no-tta"]), ("planned", []), ("views", ["--tta"]))
        )
        np.testing.assert_array_equal(once, planned)  # by steps, nothing else is planned
        assert np.abs(views - once).max() > 1e-6
