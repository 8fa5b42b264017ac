import pytest

from uvala.errors import BudgetError
from uvala.plan.budget import Clock, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("2.5h", 9000),
        ("45", 45),
        (60, 60),
        (" 2 min ", 120),
        ("1d", 86400),
    ],
)
def test_durations_as_people_write_them(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "10 parsecs", "m10", "-5m", "10m!", "1:30"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(BudgetError, match="90s, 10m or 1h30m"):
        parse_duration(text)


def test_three_seconds_are_too_few():
    with pytest.raises(BudgetError, match="found a budget of 3 s; expected at least 10 s"):
        parse_duration("3s")


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "42 s"), (545, "9 min 05 s"), (7800, "2 h 10 min"), (3.2, "3.2 s")]
)
def test_durations_for_people(seconds, text):
    assert format_duration(seconds) == text


def test_a_resumed_clock_goes_on_where_it_was():
    assert Clock(100, used=60).remaining == pytest.approx(40, abs=1)


def test_what_remains_is_shared_evenly():
    share = Clock(100, used=60).of_each(4)
    assert share.remaining == pytest.approx(10, abs=1)
    assert share.elapsed == pytest.approx(60, abs=1)
    assert Clock(None).of_each(4).remaining == float("inf")


def test_without_a_budget_there_is_no_end():
    assert Clock(None).remaining == float("inf")


@pytest.mark.parametrize("budget", [[1], float("inf"), float("nan")])
def test_what_is_no_duration_is_refused(budget):
    with pytest.raises(BudgetError):
        parse_duration(budget)
