import signal

import pytest

from uvala.training.stop import StopSignal


@pytest.fixture(autouse=True)
def own_ctrl_c():
    """Python's own answer to Ctrl-C: a shell starts what runs in the background with none."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_for_a_stop(number):
    with StopSignal() as stop:
        assert not stop.asked
        signal.raise_signal(number)
        assert stop.asked


def test_the_second_does_not_ask():
    with StopSignal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


class TestLaunched:
    """Ctrl-C reaches every process of the terminal, and torchrun passes it on to its processes once more."""

    def test_an_echo_of_the_first_signal_changes_nothing(self):
        with StopSignal(launched=True) as stop:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            assert stop.asked

    def test_a_later_one_does_not_ask(self, monkeypatch):
        with StopSignal(launched=True) as stop:
            signal.raise_signal(signal.SIGINT)
            assert stop.asked
            monkeypatch.setattr("time.monotonic", lambda: float("inf"))
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


def test_handlers_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopSignal():
        signal.raise_signal(signal.SIGTERM)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
