"""Without a network nobody waits for one."""

import socket

import pytest
from huggingface_hub import constants

from uvala.errors import WeightsError
from uvala.models.encoders import make_encoder
from uvala.models.hub import cached_only_without_network


@pytest.fixture
def nobody(monkeypatch):
    """The hub at a port of this machine at which nobody listens."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.fixture
def somebody(monkeypatch):
    """The hub at a port of this machine at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


def test_the_cache_alone_is_asked_where_nobody_answers(nobody):
    with cached_only_without_network():
        assert constants.is_offline_mode()
    assert not constants.is_offline_mode()


def test_the_hub_is_asked_where_it_answers(somebody):
    with cached_only_without_network():
        assert not constants.is_offline_mode()


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_a_proxy_is_asked_where_nobody_answers_without_it(nobody, monkeypatch, name):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with cached_only_without_network():
        assert not constants.is_offline_mode()


def test_weights_that_cannot_be_had_are_one_sentence(nobody, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="no weights of ImageNet for encoder 'resnet18'"):
        make_encoder("resnet18", 3, depth=2, pretrained=True)
