"""Charts: nothing lost, nothing outside, nothing that a reader would take for something else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uvala.report.charts import (
    Bar,
    Bin,
    Line,
    Mark,
    bar_chart,
    line_chart,
    reliability_chart,
    smooth,
    thin_out,
)

finite = st.floats(-1e6, 1e6)


def texts(svg):
    """The words of a drawing, in order."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


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
        path = re.search(r'd="M ([^"]+)"[^>]*stroke-width: 2.2', svg).group(1)
        places = [tuple(map(float, point.split())) for point in path.split(" L ")]
        assert len(places) == 3
        assert all(0 <= x <= 440 and 0 <= y <= 250 for x, y in places)

    def test_a_single_point_is_drawn_as_a_dot(self):
        assert "<use" in line_chart([Line([(1.0, 0.5)], "mean")], label="x", x_label="minutes")

    def test_an_outlier_of_a_raw_line_does_not_flatten_the_others(self):
        raw = Line([(0.0, 1000.0), (1.0, 1.0)], "raw")
        svg = line_chart([raw, Line([(0.0, 1.0), (1.0, 0.5)], "smooth")], label="x", x_label="minutes")
        assert max(float(number) for number in texts(svg) if number[0].isdigit()) <= 1.2

    def test_the_best_point_has_its_value(self):
        svg = line_chart([Line([(0.0, 0.2), (1.0, 0.8123)], "mean", best=1)], label="x", x_label="minutes")
        assert "best 0.812" in texts(svg)

    def test_a_mark_has_its_words(self):
        line = Line([(0.0, 0.2), (1.0, 0.8)], "mean")
        svg = line_chart([line], label="x", x_label="threshold", marks=[Mark(0.5, "the model's own")])
        assert "the model's own" in texts(svg)

    def test_nothing_to_draw_is_nothing(self):
        assert line_chart([], label="x", x_label="minutes") == ""


class TestBarChart:
    def test_each_bar_says_its_share_and_what_it_stands_on(self):
        bars = [Bar(0.25, "to 60\nn = 4", "1 of 4"), Bar(1.0, "to 900\nn = 7", "7 of 7")]
        svg = bar_chart(bars, label="x", x_label="pixels")
        assert {"25%", "100%"} <= set(texts(svg))
        assert all(words in svg for words in ("to 60", "n = 4", "<title>1 of 4</title>"))

    def test_no_bar_is_no_chart(self):
        assert bar_chart([], label="x", x_label="pixels") == ""


class TestReliabilityChart:
    def test_each_bin_tells_its_numbers(self):
        svg = reliability_chart([Bin(0.7, 0.6, 0.2), Bin(0.95, 0.9, 0.8)], label="x")
        assert "confidence 0.700: right in 60.0%, 20.0% of pixels" in svg

    @pytest.mark.parametrize("accuracy", [0.0, 0.3, 1.0])
    def test_one_bin_is_enough(self, accuracy):
        assert "<svg" in reliability_chart([Bin(0.9, accuracy, 1.0)], label="x")

    def test_no_bin_is_no_chart(self):
        assert reliability_chart([], label="x") == ""
