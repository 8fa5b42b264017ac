"""The examples and the README's code do what they say."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

import uvala
from drawn import discs
from uvala.api.exporting import export

EXAMPLES = Path(__file__).parents[2] / "examples"


def main_of(name: str):
    return runpy.run_path(str(EXAMPLES / name))["main"]


def test_every_example_is_short():
    assert all(len(path.read_text().splitlines()) <= 45 for path in EXAMPLES.glob("*.py"))


def test_check_data(disc_data, capsys):
    main_of("check_data.py")(str(disc_data))
    assert "255 means foreground" in capsys.readouterr().out


def test_network_alone():
    assert main_of("network_alone.py")().shape == (1, 3, 101, 67)


def test_old_checkpoint(tmp_path, capsys):
    model = uvala.create_model("pytorch_unet", in_channels=3, num_classes=2, width=4)
    theirs = uvala.to_peer("milesial", model)
    torch.save(theirs, tmp_path / "old.pth")
    back = main_of("old_checkpoint.py")(str(tmp_path / "old.pth"))
    assert "recognised as milesial" in capsys.readouterr().out
    assert all(torch.equal(back[key], value) for key, value in theirs.items())


def test_score_objects(capsys):
    scores = main_of("score_objects.py")()
    assert scores["components"] < scores["watershed"] == 1
    assert "mean AP: 1.0" in capsys.readouterr().out


def test_exported_alone(disc_run, tmp_path, capsys):
    path = export(disc_run.path, tmp_path / "discs.onnx").path
    image, _ = discs((50, 61), seed=3)
    mask = main_of("exported_alone.py")(str(path), image)
    np.testing.assert_array_equal(mask, disc_run.predict(image).encoded)
    assert "foreground: " in capsys.readouterr().out
    source = (EXAMPLES / "exported_alone.py").read_text()
    assert "import uvala" not in source
    assert "torch" not in source.partition('"""\n\n')[2]


@pytest.mark.slow  # trains for the shortest budget there is
def test_train_and_predict(disc_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main_of("train_and_predict.py")(str(disc_data), "15s")
    _, found, numbers = capsys.readouterr().out.partition("foreground: Dice ")
    assert found
    assert 0.5 < float(numbers.partition(",")[0]) <= 1.0
    assert (tmp_path / "example-run/overlay.png").is_file()
