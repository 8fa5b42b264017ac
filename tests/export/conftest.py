"""A run that is exported again and again."""

import pytest

import uvala
from uvala.api.exporting import export
from uvala.runs.folder import RunFolder


@pytest.fixture(scope="session")
def exported(disc_run, tmp_path_factory):
    """The discs' network as ONNX, with masks."""
    return export(disc_run.path, tmp_path_factory.mktemp("exported") / "discs.onnx", mask=True)


@pytest.fixture
def changed_run(disc_run, tmp_path):
    """A function: a copy of the discs' run whose card says other things."""

    def copy(name: str = "run", **said: object) -> uvala.Run:
        folder = RunFolder(tmp_path / name)
        folder.path.mkdir()
        for file in ("card.json", "plan.toml", "split.json", "model.safetensors"):
            (folder.path / file).write_bytes((disc_run.path / file).read_bytes())
        folder.write_card(folder.card.model_copy(update=said))
        return uvala.load_run(folder.path, device="cpu")

    return copy
