"""What matplotlib draws becomes part of the page: its colours, its fonts, ids of its own."""

import re

import matplotlib
import pytest

from uvala.report.drawing import ACCENT, INK, Sheet


def drawn(name="a chart", words="minutes", colour=ACCENT):
    with Sheet(name) as sheet:
        sheet.axes.plot([0, 1, 2], [0.123456789, 1, 0.5], color=colour)
        dots = sheet.axes.scatter([0, 1], [0, 1], color=INK)
        dots.set_urls([sheet.link("first <dot>"), sheet.link("second", "worst-1")])
        sheet.x_label(words)
        return sheet.svg()


def test_colours_are_those_of_the_page():
    svg = drawn()
    assert "stroke: var(--accent)" in svg
    assert "fill: var(--ink)" in svg
    assert not re.search(r": #[0-9a-f]{6}", svg)


def test_a_class_keeps_its_colour_mixed_with_ink():
    assert "stroke: #1e2028; stroke: color-mix(in oklab, #1e2028, var(--ink)" in drawn(colour="#1e2028")


def test_fonts_are_those_of_the_page():
    assert "font-family" not in drawn()
    assert "font-size" not in drawn()


def test_words_stay_words_whatever_they_are():
    assert ">&lt;b&gt; $x_1$ \u7d30\u80de</text>" in drawn(words="<b> $x_1$ \u7d30\u80de")


def test_marks_tell_their_titles_and_lead_into_the_page():
    svg = drawn()
    assert "<title>first &lt;dot&gt;</title>" in svg
    assert re.search(r'<a href="#worst-1"><use [^>]*><title>second</title></use></a>', svg)
    assert "target" not in svg


def test_two_drawings_share_no_id():
    first, second = (set(re.findall(r' id="([^"]+)"', drawn(name))) for name in ("one", "two"))
    assert first
    assert not first & second


def test_every_reference_has_its_target():
    svg = drawn()
    assert set(re.findall(r'(?:url\(|<use href=")#([\w-]+)', svg)) == set(re.findall(r' id="([^"]+)"', svg))


def test_the_same_drawing_is_the_same_file():
    assert drawn() == drawn()


def test_places_have_no_more_decimals_than_can_be_seen():
    assert not re.search(r'd="[^"]*\.\d\d', drawn())


def test_a_users_settings_for_matplotlib_neither_matter_nor_change():
    plain = drawn()
    with matplotlib.rc_context({"axes.facecolor": "red", "text.usetex": True, "lines.linewidth": 9.0}):
        assert drawn() == plain
        assert matplotlib.rcParams["lines.linewidth"] == 9.0


@pytest.mark.parametrize("setting", ["svg.fonttype", "svg.hashsalt"])
def test_no_setting_is_left_behind(setting):
    before = matplotlib.rcParams[setting]
    drawn()
    assert matplotlib.rcParams[setting] == before
