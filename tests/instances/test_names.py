"""The names that the room offers are there."""

import uvala.instances
import uvala.metrics


def test_every_name_of_instances_can_be_imported():
    for name in uvala.instances.__all__:
        assert getattr(uvala.instances, name) is not None
    assert set(dir(uvala.instances)) == set(uvala.instances.__all__)


def test_every_name_of_metrics_can_be_imported():
    assert all(getattr(uvala.metrics, name) is not None for name in uvala.metrics.__all__)
