"""Charts drawn as SVG: round numbers, nothing lost, nothing outside."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvala.report.charts import Dot, Line, dot_chart, line_chart, smooth, thin_out, ticks

finite = st.floats(-1e6, 1e6)


class TestTicks:
    @pytest.mark.parametrize(
        ("low", "high", "expected"),
        [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.83, 1, [0.85, 0.9, 0.95, 1]), (0, 9.7, [0, 2, 4, 6, 8])],
    )
    def test_are_round(self, low, high, expected):
        assert ticks(low, high) == pytest.approx(expected)

    @given(low=finite, span=st.floats(1e-3, 1e6))
    def test_are_few_and_inside(self, low, span):
        marks = ticks(low, low + span)
        assert 1 <= len(marks) <= 6
        slack = 1e-6 * (abs(low) + span)
        assert all(low - slack <= mark <= low + span + slack for mark in marks)

    def test_of_no_range_is_its_only_value(self):
        assert ticks(0.5, 0.5) == [0.5]


class TestSmooth:
    def test_leaves_a_straight_line_alone(self):
        line = [(float(x), 2.0 * x) for x in range(100)]
        assert [y for _, y in smooth(line)] == pytest.approx([y for _, y in line])

    def test_calms_what_jumps(self):
        jumps = [(float(x), float(x % 2)) for x in range(200)]
        middle = [y for _, y in smooth(jumps)][20:-20]
        assert max(middle) - min(middle) < 0.1

    def test_of_one_point_is_that_point(self):
        assert smooth([(1.0, 3.0)]) == [(1.0, 3.0)]


class TestThinOut:
    @given(st.lists(finite, min_size=1, max_size=3000))
    def test_keeps_the_extremes_and_the_order(self, values):
        points = [(float(x), y) for x, y in enumerate(values)]
        kept = thin_out(points, most=100)
        assert len(kept) <= 102
        assert kept == sorted(kept)
        assert {min(values), max(values)} <= {y for _, y in kept}


class TestLineChart:
    def test_points_lie_inside_the_picture(self):
        svg = line_chart([Line([(0.0, 5.0), (1.0, -2.0), (9.0, 40.0)], "mean")], label="x", x_label="minutes")
        points = re.search(r'points="([^"]+)"', svg).group(1)
        places = [tuple(map(float, point.split(","))) for point in points.split()]
        assert all(0 <= x <= 440 and 0 <= y <= 250 for x, y in places)

    def test_a_single_point_is_drawn_as_a_dot(self):
        assert "<circle" in line_chart([Line([(1.0, 0.5)], "mean")], label="x", x_label="minutes")

    def test_an_outlier_of_a_raw_line_does_not_flatten_the_others(self):
        raw = Line([(0.0, 1000.0), (1.0, 1.0)], "raw")
        svg = line_chart([raw, Line([(0.0, 1.0), (1.0, 0.5)], "smooth")], label="x", x_label="minutes")
        assert ">1.0</text>" in svg

    def test_nothing_to_draw_is_nothing(self):
        assert line_chart([], label="x", x_label="minutes") == ""

    def test_titles_are_escaped(self):
        svg = line_chart([Line([(0.0, 1.0), (1.0, 2.0)], "class", title="<b>")], label="<i>", x_label="&")
        assert "<b>" not in svg
        assert "<i>" not in svg


class TestDotChart:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
    def test_each_image_is_one_titled_dot_inside_the_picture(self, values):
        svg = dot_chart([Dot(value, f"{n}.png") for n, value in enumerate(values)], label="x", x_label="Dice")
        height = int(re.search(r'viewBox="0 0 440 (\d+)"', svg).group(1))
        places = re.findall(r'cx="([-\d.]+)" cy="([-\d.]+)" r="([\d.]+)"', svg)
        assert len(places) == len(values)
        assert all(0 < float(x) < 440 and float(r) <= float(y) <= height for x, y, r in places)
        assert all(f"<title>{n}.png: " in svg for n in range(len(values)))

    def test_the_median_is_marked(self):
        svg = dot_chart([Dot(value, "a") for value in (0.2, 0.5, 0.9)], label="x", x_label="Dice")
        assert "median 0.500" in svg

    def test_thousands_become_bars_that_count_them(self):
        svg = dot_chart([Dot(0.9 + n * 1e-5, f"{n}") for n in range(3000)], label="x", x_label="Dice")
        counted = sum(int(number) for number in re.findall(r"<title>(\d+) images", svg))
        assert counted == 3000
        assert "<circle" not in svg

    def test_a_dot_whose_case_is_shown_leads_there(self):
        assert '<a href="#worst-1">' in dot_chart([Dot(0.5, "a", "worst-1")], label="x", x_label="Dice")

    def test_no_image_is_no_chart(self):
        assert dot_chart([], label="x", x_label="Dice") == ""
