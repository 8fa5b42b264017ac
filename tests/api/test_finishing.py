"""What follows the last step has an end, too."""

from types import SimpleNamespace

import pytest

from uvala.api import finishing
from uvala.api.finishing import Finish


@pytest.fixture
def clock(monkeypatch):
    """Time that a test lets pass by hand."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(finishing, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def finish(*, stopped: bool = False) -> Finish:
    unused = dict.fromkeys(("run", "dataset", "device", "clock", "log"))
    stop = SimpleNamespace(asked=stopped)
    return Finish(**unused, stop=stop, brief=stopped, ended=not stopped, page=0.0)


@pytest.mark.parametrize(("seconds", "images"), [(9, 2), (11, 3), (0.1, 1), (3600, 900)])
def test_looking_at_images_ends_as_near_to_its_time_as_an_image_allows(clock, seconds, images):
    over = finish()._time_limit(seconds)
    looked_at = 0
    while not looked_at or not over():
        clock.now += 4.0
        looked_at += 1
    assert looked_at == images


def test_who_asks_for_an_end_meanwhile_gets_it(clock):
    one = finish()
    over = one._time_limit(60)
    assert not over()
    one.stop.asked = True
    assert over()


def test_after_a_stop_loading_the_network_does_not_make_the_first_image_the_only_one(clock):
    over = finish(stopped=True)._time_limit(5)
    clock.now += 4.0  # in which the first image is seen, too
    assert not over()
    clock.now += 1.0
    assert over()
