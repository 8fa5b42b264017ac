import pytest

from drawn import write_discs
from jobs import train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=8)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A training that nothing disturbs."""
    out = tmp_path_factory.mktemp("whole")
    train(data, out)
    return out
