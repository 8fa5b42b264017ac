"""`uvala plan` prints what it knows, what it measured and what it decided."""

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


def test_help_tells_how_the_plan_is_used():
    result = CliRunner().invoke(app, ["plan", "--help"], env={"COLUMNS": "200"})
    assert "uvala train DATA --plan FILE" in result.output
