"""The options of `uvala predict`, in this process."""

import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from trainings import train_quickly
from uvala.cli.main import main
from uvala.runs.folder import RunFolder
from uvala.tiling.test_time_config import TestTimeConfig


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


@pytest.fixture
def image(disc_data):
    return disc_data / "images/00.png"


@pytest.fixture(scope="module")
def other_run(disc_data, tmp_path_factory):
    return train_quickly(disc_data, tmp_path_factory.mktemp("runs") / "other", steps=8, seed=5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--memory", "lots"], "found memory 'lots'; expected an amount such as 2GB"),
        (["--memory", "1MB"], "found 1 MB to predict in"),
        (["--format", "jpeg"], "format"),
        (["--precision", "int8"], "precision"),
        (["--objects", "csvs"], "did you mean 'csv'"),
        (["--backend", "openvine"], "did you mean 'openvino'"),
        (["--with", "nowhere"], "no folder nowhere"),
        (["--set", "tiles.mod=blended"], "did you mean 'tiles.mode'"),
        (["--set", "objects.min_size"], "path=value"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(uvala, disc_run, image, tmp_path, options, words):
    code, _, error = uvala("predict", disc_run.path, image, "--out", tmp_path / "out", *options)
    assert code == 2
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_told(uvala, disc_run, image, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    code, _, error = uvala("predict", disc_run.path, image, "--out", tmp_path / "notes.txt")
    assert code == 2
    assert "notes.txt, which is a file; expected the name of a folder" in error


def test_of_the_folders_beside_only_runs_are_offered(uvala, image, tmp_path):
    for name, file in (("pictures", "a.png"), ("first", "card.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
    code, _, error = uvala("predict", tmp_path / "nowhere", image, "--out", tmp_path / "out")
    assert code == 2
    assert "choose one of first" in error


def test_a_resume_tells_what_was_there(uvala, disc_run, image, tmp_path):
    words = ["predict", disc_run.path, image, "--out", tmp_path / "out"]
    uvala(*words)
    code, _, error = uvala(*words)
    assert code == 2
    assert "go on with these by --resume" in error
    code, text, _ = uvala(*words, "--resume")
    assert code == 0
    assert "1 of them from before" in " ".join(text.split())


def test_tiff_masks_hold_the_values_of_the_png(uvala, disc_run, image, tmp_path):
    for form in ("png", "tiff"):
        uvala("predict", disc_run.path, image, "--out", tmp_path / form, "--format", form)
    values = tifffile.imread(tmp_path / "tiff/00.tif")
    np.testing.assert_array_equal(values, np.array(Image.open(tmp_path / "png/00.png")))


class TestSeveralRuns:
    """Runs are averaged as folds are."""

    def probabilities(self, uvala, out, *words):
        code, _, error = uvala("predict", *words, "--out", out, "--probabilities", "--uncertainty")
        assert code == 0, error
        return tifffile.imread(out / "probabilities/00.tif")

    def test_give_the_mean(self, uvala, disc_run, other_run, image, tmp_path):
        one = self.probabilities(uvala, tmp_path / "one", disc_run.path, image)
        two = self.probabilities(uvala, tmp_path / "two", other_run.path, image)
        both = self.probabilities(uvala, tmp_path / "both", disc_run.path, image, "--with", other_run.path)
        np.testing.assert_allclose(both, (one + two) / 2, atol=1e-6)

    def test_tell_where_they_disagree(self, uvala, disc_run, other_run, image, tmp_path):
        self.probabilities(uvala, tmp_path / "out", disc_run.path, image, "--with", other_run.path)
        entropy, disagreement = tifffile.imread(tmp_path / "out/uncertainty/00.tif")
        assert (disagreement <= entropy + 1e-6).all()
        assert disagreement.max() > 0

    def test_of_other_classes_are_refused(self, uvala, disc_run, image, tmp_path):
        card = disc_run.card
        renamed = [entry.model_copy(update={"name": f"my {entry.name}"}) for entry in card.encoding.classes]
        encoding = card.encoding.model_copy(update={"classes": tuple(renamed)})
        (tmp_path / "run").mkdir()
        RunFolder(tmp_path / "run").write_card(card.model_copy(update={"encoding": encoding}))
        code, _, error = uvala(
            "predict", disc_run.path, image, "--out", tmp_path / "out", "--with", tmp_path / "run"
        )
        assert code == 2
        assert "a network for 1 channels and the classes my" in error

    def test_that_learnt_something_else_of_objects_are_refused(self, uvala, disc_run, image, tmp_path):
        network = disc_run.card.network.model_copy(update={"objects": "borders"})
        (tmp_path / "run").mkdir()
        RunFolder(tmp_path / "run").write_card(disc_run.card.model_copy(update={"network": network}))
        code, _, error = uvala(
            "predict", disc_run.path, image, "--out", tmp_path / "out", "--with", tmp_path / "run"
        )
        assert code == 2
        assert "besides them borders of objects" in error


class TestViews:
    def test_that_a_network_never_saw_are_refused(self, uvala, disc_data, image, tmp_path):
        unturned = {f"augment.{name}": False for name in TestTimeConfig.model_fields}
        run = train_quickly(disc_data, tmp_path / "run", steps=4, settings=unturned)
        code, _, error = uvala("predict", run.path, image, "--out", tmp_path / "out", "--tta")
        assert code == 2
        assert "which was trained without flips and quarter turns" in error
        code, _, error = uvala("predict", run.path, image, "--out", tmp_path / "out", "--no-tta")
        assert code == 0, error


def test_what_was_done_to_images_is_told_once(uvala, disc_run, image, tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.open(image).convert("LA").save(tmp_path / "images" / name)
    _, text, _ = uvala("predict", disc_run.path, tmp_path / "images", "--out", tmp_path / "out")
    assert text.count("alpha channel dropped") == 1
    assert "alpha channel dropped (2 images)" in text


@pytest.mark.parametrize(
    ("option", "value"), [("--memory", "2GB"), ("--device", "cuda"), ("--backend", "ncnn")]
)
def test_an_exported_file_takes_no_options_of_runs(uvala, image, tmp_path, option, value):
    (tmp_path / "model.onnx").touch()
    code, _, error = uvala(
        "predict", tmp_path / "model.onnx", image, "--out", tmp_path / "out", option, value
    )
    assert code == 2
    assert f"{option} for model.onnx" in error
