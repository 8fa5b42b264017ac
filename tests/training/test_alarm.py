"""P3: a network that predicts one class everywhere is told early, with the likely cause."""

import pytest

from drawn import write_discs
from jobs import train
from uvala.training.alarm import likely_cause
from uvala.training.watchdog import Watch


def watch(first: float, last: float) -> Watch:
    state = Watch().after(first)
    for _ in range(200):
        state = state.after(last)
    return state


@pytest.mark.parametrize(
    ("share", "state", "words"),
    [
        (0.9, watch(1.3, 0.4).rewind(10), "the learning rate is likely too high"),
        (0.995, watch(1.3, 0.4), "all other classes have 0.50% of the pixels"),
        (0.6, watch(1.3, 1.29), "the loss has hardly fallen"),
        (0.6, watch(1.3, 0.6), "the loss is falling"),
    ],
)
def test_the_cause_follows_from_what_is_known(share, state, words):
    assert words in likely_cause("background", {"background": share, "cell": 1 - share}, state, 3e-3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=6)


# so slow that nothing is learnt
LAME = {"optimiser.learning_rate": 1e-12, "length.steps": 40}


def test_it_is_told_once(data, tmp_path):
    events = []
    train(data, tmp_path, settings=LAME, listener=events.append)
    warnings = [event["text"] for event in events if event["event"] == "warning"]
    assert len(warnings) == 1
    assert "still predicts nothing but" in warnings[0]
    assert "the loss has hardly fallen" in warnings[0]


def test_not_where_there_is_but_one_class(tmp_path):
    events = []
    data = write_discs(tmp_path / "discs", count=6)
    for mask in (data / "masks").iterdir():
        if mask.stem > "02":  # those that validate
            blank(mask)
    train(data, tmp_path / "run", settings=LAME, listener=events.append)
    assert not [event for event in events if event["event"] == "warning"]


def blank(mask):
    from PIL import Image

    with Image.open(mask) as picture:
        size = picture.size
    Image.new("L", size).save(mask)
