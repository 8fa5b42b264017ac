"""The table of networks says what the networks say."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from uvala.models.catalog import create_model, model_facts, model_names
from uvala.models.table import list_models

REPOSITORY = Path(__file__).parents[2]


def test_has_every_network_in_alphabetical_order():
    assert [network.name for network in list_models()] == model_names()


def test_a_row_is_a_name():
    network = next(each for each in list_models() if each == "unet")
    assert network.upper() == "UNET"
    assert create_model(network, in_channels=1, num_classes=2, width=4).multiple == network.stride


@pytest.mark.parametrize("network", list_models(), ids=str)
def test_row_is_up_to_date(network):
    with torch.device("meta"):
        model = create_model(network, in_channels=3, num_classes=2)
    facts = model_facts(network)
    assert network.parameters == sum(each.numel() for each in model.parameters())
    assert network.stride == getattr(model, "multiple", 1)
    assert (network.paper, network.origin, network.summary) == (
        facts["paper"],
        facts["origin"],
        facts["summary"],
    )


def test_costs_no_torch():
    code = "import sys, uvala; uvala.list_models(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_page_is_generated_from_the_table():
    sys.path.insert(0, str(REPOSITORY / "docs"))
    try:
        import make_models
    finally:
        sys.path.pop(0)
    written = (REPOSITORY / "docs" / "models.md").read_text()
    assert written == make_models.page(list_models()), "run python docs/make_models.py"


@pytest.mark.parametrize("network", list_models(), ids=str)
def test_has_its_picture(network):
    assert (REPOSITORY / "docs" / "models" / f"{network.replace(':', '_')}.svg").is_file()
