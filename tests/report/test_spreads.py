"""How images spread: each one is there, the box and the mean are where they belong."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from uvala.report.spreads import Dot, Spread, spread_chart


def chart(values, **changes):
    dots = [Dot(value, f"{number}.png") for number, value in enumerate(values)]
    return spread_chart([Spread(dots, **changes)], label="x", x_label="Dice")


def places(svg):
    """Where the titled marks are, by title."""
    found = re.findall(r'<use[^>]* x="([-\d.]+)" y="([-\d.]+)"[^>]*><title>([^<]*)</title>', svg)
    return {title: (float(x), float(y)) for x, y, title in found}


@settings(max_examples=25, deadline=None)  # matplotlib takes a moment
@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_each_image_is_one_titled_dot_inside_the_picture(values):
    svg = chart(values)
    height = float(re.search(r'viewBox="0 0 440 ([\d.]+)"', svg).group(1))
    dots = {title: place for title, place in places(svg).items() if ".png" in title}
    assert len(dots) == len(values)
    assert all(0 <= x <= 440 and 0 <= y <= height for x, y in dots.values())


def test_better_images_stand_further_right():
    dots = places(chart([0.2, 0.5, 0.9]))
    assert dots["0.png: 0.200"][0] < dots["1.png: 0.500"][0] < dots["2.png: 0.900"][0]


def test_the_mean_lies_between_the_images():
    marks = places(chart([0.2, 0.4, 0.9]))
    assert marks["1.png: 0.400"][0] < marks["mean 0.500"][0] < marks["2.png: 0.900"][0]


def test_the_interval_of_the_mean_is_a_bar_from_end_to_end():
    svg = chart([0.5, 0.7, 0.9], interval=(0.6, 0.8))
    (path,) = re.findall(r'd="M ([^"]+)"[^>]*stroke: var\(--ink\); stroke-width: 2.6', svg)
    start, end = (float(point.split()[0]) for point in path.split(" L "))
    low, high = (places(svg)[title][0] for title in ("0.png: 0.500", "2.png: 0.900"))
    assert low < start < (low + high) / 2 < end < high


def test_thousands_become_bars_that_count_them():
    svg = chart([0.9 + number * 1e-5 for number in range(3000)])
    assert sum(int(number) for number in re.findall(r"<title>(\d+) images", svg)) == 3000
    assert len(svg) < 40_000


def test_a_dot_whose_case_is_shown_leads_there():
    svg = spread_chart([Spread([Dot(0.5, "a", "worst-1")])], label="x", x_label="Dice")
    assert '<a href="#worst-1"><use' in svg


def test_rows_have_their_names():
    rows = [Spread([Dot(0.5, "a")], name="cell"), Spread([Dot(0.6, "a")], name="<debris>")]
    svg = spread_chart(rows, label="x", x_label="Dice")
    assert ">cell</text>" in svg
    assert "&lt;debris&gt;" in svg


def test_distances_have_an_axis_that_holds_them():
    svg = chart([0.5, 30.0, 120.0])
    assert {title for title in places(svg) if ".png" in title} == {
        "0.png: 0.500",
        "1.png: 30.000",
        "2.png: 120.000",
    }


def test_no_image_is_no_chart():
    assert chart([]) == ""
