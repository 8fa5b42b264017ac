"""`uvala plan` prints what it knows, what it measured and what it decided."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from uvala.cli.main import app
from uvala.plan.schema import read_plan


@pytest.fixture(scope="module")
def printed(disc_data, tmp_path_factory):
    file = tmp_path_factory.mktemp("plan") / "plan.toml"
    settings = ["--budget", "30s", "--device", "cpu", "--model", "pocket_unet", "--set", "patches.size=32"]
    result = CliRunner().invoke(app, ["plan", str(disc_data), *settings, "--out", str(file)])
    assert result.exit_code == 0, result.output
    return result.output, file


def test_tells_the_fingerprint_the_probe_and_each_decision(printed):
    output, _ = printed
    for line in ("images   ", "classes  ", "objects  ", "noise    ", "probe    ", "plan     "):
        assert f"\n{line}" in output
    assert "set by you" in output


def test_writes_the_plan_with_its_reasons(printed):
    output, file = printed
    plan = read_plan(file)
    assert (plan.length.budget, plan.model.name, plan.patches.size) == (30, "pocket_unet", 32)
    assert "# set by you\nsize = 32" in file.read_text()
    assert f"--plan {file}" in output.replace("\n", "")


def test_the_next_command_can_be_copied_and_trials_are_announced(disc_data, tmp_path):
    data, file, split = tmp_path / "my data", tmp_path / "my plan.toml", tmp_path / "split.json"
    shutil.copytree(disc_data, data)
    names = sorted(path.stem + path.suffix for path in (data / "images").iterdir())
    split.write_text(json.dumps({"train": names[:-2], "val": names[-2:]}))
    settings = ["--budget", "1h", "--device", "cpu", "--model", "pocket_unet", "--set", "patches.size=32"]
    options = [*settings, "--split", str(split), "--out", str(file)]
    result = CliRunner().invoke(app, ["plan", str(data), *options], env={"COLUMNS": "500"})
    assert result.exit_code == 0, result.output
    command = f"uvala train '{data}' --plan '{file}' --split {split}"
    assert command in result.output
    assert "tries other values of optimiser.learning_rate" in " ".join(result.output.split())


def test_help_tells_how_the_plan_is_used():
    result = CliRunner().invoke(app, ["plan", "--help"], env={"COLUMNS": "200"})
    assert "uvala train DATA --plan FILE" in result.output
