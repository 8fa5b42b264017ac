"""`uvala plan` prints what it knows, what it measured and what it decided."""

import json
import shutil
import time

import pytest
from typer.testing import CliRunner

from uvala.cli.main import app
from uvala.errors import StorageError
from uvala.plan.schema import read_plan


def plan(*words, columns=80):
    """What the command prints when it is begun now, and not when the tests were."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvala.cli.main.STARTED", time.monotonic())
        result = CliRunner().invoke(app, ["plan", *map(str, words)], env={"COLUMNS": str(columns)})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def printed(disc_data, tmp_path_factory):
    file = tmp_path_factory.mktemp("plan") / "plan.toml"
    settings = ["--budget", "30s", "--device", "cpu", "--model", "pocket_unet", "--set", "patches.size=32"]
    return plan(disc_data, *settings, "--out", file), file


def test_tells_the_fingerprint_the_probe_and_each_decision(printed):
    output, _ = printed
    for line in ("images   ", "classes  ", "objects  ", "noise    ", "task     ", "probe    ", "plan     "):
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
    output = plan(data, *settings, "--split", split, "--out", file, columns=500)
    command = f"uvala train '{data}' --plan '{file}' --split {split}"
    assert command in output
    assert "tries other values of optimiser.learning_rate" in " ".join(output.split())


def test_begins_from_weights_and_so_does_the_next_command(disc_data, disc_run, tmp_path):
    file, options = tmp_path / "plan.toml", ["--epochs", "1", "--device", "cpu"]
    output = plan(disc_data, "--from", disc_run.path, *options, "--out", file, columns=500)
    assert f"the network of {disc_run.path.name}" in output
    assert f"--plan {file} --from {disc_run.path}" in output


def test_a_plan_that_may_have_been_changed_is_not_replaced(disc_data, tmp_path):
    file = tmp_path / "plan.toml"
    file.write_text("seed = 5\n")
    result = CliRunner().invoke(app, ["plan", str(disc_data), "--budget", "30s", "--out", str(file)])
    assert isinstance(result.exception, StorageError)
    assert f"--out {file}, which exists" in str(result.exception)
    assert file.read_text() == "seed = 5\n"


def test_help_tells_how_the_plan_is_used():
    assert "uvala train DATA --plan FILE" in plan("--help", columns=200)
