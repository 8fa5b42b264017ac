import pytest
import torch
from torch.nn import functional

from uvala.errors import ConfigError
from uvala.training.determinism import same_bits


def flags() -> tuple[bool, ...]:
    cudnn = torch.backends.cudnn
    return torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark


def test_is_asked_for_inside_and_as_before_outside():
    before = flags()
    with same_bits(True):
        assert flags() == (True, True, False)
    assert flags() == before


def test_without_it_nothing_changes():
    before = flags()
    with same_bits(False):
        assert flags() == before


def test_an_operation_that_cannot_is_named():
    values, places = functional.max_pool2d(torch.rand(1, 1, 4, 4), 2, return_indices=True)
    words = r"with max_unpooling2d.*execution\.deterministic=false"
    with pytest.raises(ConfigError, match=words), same_bits(True):
        functional.max_unpool2d(values, places, 2)
