"""Runs to export."""

import pytest
import torch
from torch import nn

import uvala
from members import small_member
from uvala.api.exporting import export
from uvala.models.catalog import create_model
from uvala.runs.card import NetworkCard
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


@pytest.fixture
def run_of(changed_run):
    """A function: a run for the discs whose network is a small one of that name, with weights by chance."""

    def make(name: str) -> uvala.Run:
        member, options = small_member(name)
        torch.manual_seed(0)
        model = create_model(member, in_channels=1, num_classes=2, **options).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.1)
                nn.init.uniform_(module.running_var, 0.5, 2)
        card = NetworkCard(
            name=member, options=options, in_channels=1, num_classes=2, multiple=model.multiple
        )
        run = changed_run(network=card)
        run.folder.write_weights(model.state_dict())
        return run

    return make
