import numpy as np
import pytest
import torch

from drawn import write_discs
from jobs import job, state, train
from uvala.errors import ConfigError
from uvala.models.catalog import create_model
from uvala.training.freezing import encoder_of, freeze
from uvala.training.loop import Training

FROZEN = {"model.name": "unet", "model.options": {"width": 4, "depth": 2}, "freeze.encoder": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=8)


def first_weights(data, out) -> dict[str, np.ndarray]:
    training = Training(job(data, out, settings=FROZEN))
    return {key: value.numpy().copy() for key, value in training.model.state_dict().items()}


def changed(before: dict[str, np.ndarray], out) -> tuple[set[bool], set[bool]]:
    """Whether the tensors of the encoder, its statistics included, and of all else are others now."""
    now = state(out)
    found = {key: not np.array_equal(now[f"model.{key}"], value) for key, value in before.items()}
    encoder = {found[key] for key in found if key.startswith("encoders.")}
    return encoder, {found[key] for key in found if not key.startswith("encoders.")}


def test_a_frozen_encoder_stays_as_it_is(data, tmp_path):
    before = first_weights(data, tmp_path / "none")
    steps = iter(range(99))
    train(data, tmp_path, settings=FROZEN, stop=lambda: next(steps) == 6)  # the validation asks, too
    assert changed(before, tmp_path) == ({False}, {True})


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "rmsprop"])
def test_it_is_set_free_after_its_share(data, tmp_path, name):
    before = first_weights(data, tmp_path / "none")
    train(data, tmp_path, settings={**FROZEN, "optimiser.name": name})
    assert changed(before, tmp_path) == ({True}, {True})


def test_the_rate_is_lower_afterwards(data, tmp_path):
    constant = {"optimiser.schedule": "constant", "optimiser.warmup": 0.0}
    settings = {**FROZEN, **constant, "freeze.learning_rate_after": 0.1}
    training = train(data, tmp_path, settings=settings)
    assert training.optimiser.param_groups[0]["lr"] == pytest.approx(3e-4)


def test_a_network_without_an_encoder_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match=r"PocketUNet, which has no encoder.*set freeze\.encoder=0"):
        Training(job(data, tmp_path, settings={"freeze.encoder": 0.5}))


@pytest.mark.parametrize("name", ["vgg16_unet", "unet:test_resnet", "segnet", "unet"])
def test_networks_with_an_encoder(name):
    small = {} if ":" in name else {"width": 4}
    model = create_model(name, in_channels=1, num_classes=2, **small)
    encoder = encoder_of(model)
    freeze(encoder, True)
    model(torch.zeros(2, 1, 64, 64)).sum().backward()
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert any(parameter.grad is not None for parameter in model.parameters())
