"""The names that the rooms offer are there, and are what they are called."""

from types import ModuleType

import pytest

import uvala.instances
import uvala.metrics


@pytest.mark.parametrize("room", [uvala.instances, uvala.metrics])
def test_every_name_can_be_used(room):
    for name in room.__all__:
        # a module of that name would take its place as soon as something imports it
        assert not isinstance(getattr(room, name), ModuleType), name
    assert set(dir(room)) == set(room.__all__)
