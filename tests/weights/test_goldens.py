"""Each reference network, built from its key list alone, gives the numbers that its origin gives."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import goldens
from uvala.weights.peers import from_peer, match_peer, to_peer

if goldens.FOLDER.parent.is_dir():
    NAMES = goldens.names()
    assert NAMES, f"no reference files in {goldens.FOLDER}"
else:
    NAMES = [pytest.param("", marks=pytest.mark.skip(reason=f"needs the data of {goldens.FOLDER.parent}"))]


def outputs(model: nn.Module, image: Tensor, golden: dict) -> list[Tensor]:
    """What the golden file recorded: all heads of several, and their softmax where the origin ends in one."""
    # the network alone, not its norms: with several heads it returns all of them in training mode only
    model.training = len(golden["cases"][0]["outputs"]) > 1
    with torch.no_grad():
        result = model(image)
    model.training = False
    heads = result if isinstance(result, list) else [result]
    return [each.softmax(dim=1) for each in heads] if "softmax" in golden["output_kind"] else heads


@pytest.fixture(scope="module", params=NAMES)
def peer(request):
    """A reference network: what is recorded of it, its checkpoint, and ours made of that."""
    golden = goldens.read(request.param)
    state = goldens.state_dict(golden)
    return golden, state, from_peer(golden["family"], state)


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, "f32"), (torch.float64, "f64")], ids=str)
def test_output_is_that_of_the_origin(peer, dtype, kind):
    golden, _, model = peer
    model = copy.deepcopy(model).to(dtype)
    for case in golden["cases"]:
        actual = outputs(model, goldens.image(case).to(dtype), golden)
        for head, expected in zip(actual, case["outputs"], strict=True):
            height, width = expected["shape"][-2:]  # some origins drop rows that they cannot pool
            head = head[..., :height, :width]
            assert list(head.shape) == expected["shape"]
            tolerance = {"rtol": 0, "atol": expected["tolerance"][f"{kind}_atol"]}
            samples = head.flatten()[expected["sample_index"]]
            corners = torch.stack([head[tuple(index)] for index in expected["corner_index"]])
            np.testing.assert_allclose(samples, expected[f"sample_{kind}"], **tolerance)
            np.testing.assert_allclose(corners, expected[f"corner_{kind}"], **tolerance)
            # the mean of all, so that no region goes unlooked at
            mean = head.double().mean()
            np.testing.assert_allclose(mean, expected[f"stats_{kind}"]["mean"], **tolerance)


def test_way_back_gives_the_checkpoint_that_came(peer):
    golden, state, model = peer
    back = to_peer(golden["family"], model)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[key], value) for key, value in state.items())


@pytest.mark.parametrize("name", NAMES)
def test_origin_is_recognised_by_the_keys(name):
    golden = goldens.read(name)
    shapes = {key: torch.empty(shape, device="meta") for key, shape, _ in golden["state_dict"]}
    found, named = match_peer("auto", shapes), match_peer(golden["family"], shapes)
    assert found.recipe == named.recipe
