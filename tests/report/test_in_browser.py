"""The page in a real browser: it loads nothing, moves its dividers, and fits a phone."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from uvala.report.content import ReportData
from uvala.report.pages import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

QUIET = ("--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update")
SECTIONS = [
    "worst",
    "scores",
    "objects",
    "probabilities",
    "images",
    "method",
    "curves",
    "data",
    "training",
    "use",
]


@pytest.fixture(scope="module")
def browser():
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs the program chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(make, make_case, complete, objects_in, tmp_path_factory):
    """A report with every section, on disk."""
    cases = [objects_in(make_case(f"{shift}.png", shift)) for shift in range(1, 7)]
    data: ReportData = complete(make(cases), "instances")
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, replace(data, best=cases[:1]))
    return path


@pytest.fixture
def visit(browser, report):
    """Open the report in a window; what it asked for and complained about is kept."""
    opened = []

    def open_page(width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        opened.append(context)
        page = context.new_page()
        seen = SimpleNamespace(page=page, requests=[], complaints=[])
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", lambda message: seen.complaints.append(message.text))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.goto(report.as_uri())
        return seen

    yield open_page
    for context in opened:
        context.close()


def clip(page):
    """How far from the left the upper layer of the first case begins, as the browser computed it."""
    return page.locator(".stage .over").first.evaluate("image => getComputedStyle(image).clipPath")


def test_every_section_is_there(visit):
    page = visit().page
    assert page.locator("section").evaluate_all("all => all.map(one => one.id)") == SECTIONS
    assert page.locator("#summary").is_visible()
    assert all(page.locator(f"#{name} h2").is_visible() for name in SECTIONS)


def test_the_page_asks_for_nothing_and_complains_about_nothing(visit, report):
    seen = visit()
    for summary in seen.page.locator("summary").all():
        summary.click()
    seen.page.wait_for_load_state("networkidle")
    assert [url for url in seen.requests if not url.startswith("data:")] == [report.as_uri()]
    assert seen.complaints == []


class TestDivider:
    def test_begins_in_the_middle(self, visit):
        assert "50%" in clip(visit().page)

    def test_moves_by_keyboard(self, visit):
        page = visit().page
        slider = page.locator(".stage input").first
        slider.focus()
        slider.press("Home")
        assert clip(page) in (
            "inset(0px 0px 0px 0%)",
            "inset(0px 0px 0px)",
            "inset(0px)",
            "inset(0% 0px 0px 0%)",
        )
        slider.press("End")
        assert "100%" in clip(page)

    def test_moves_by_mouse(self, visit):
        page = visit().page
        slider = page.locator(".stage input").first
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
        page.mouse.up()
        assert 78 < float(slider.input_value()) < 82
        assert f"{slider.input_value()}%" in clip(page)

    def test_moves_by_touch(self, visit):
        page = visit(width=390, height=844, has_touch=True, is_mobile=True).page
        slider = page.locator(".stage input").first
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        page.touchscreen.tap(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
        assert 18 < float(slider.input_value()) < 22

    def test_parts_any_two_layers(self, visit):
        page = visit().page
        case = page.locator(".case").first
        case.get_by_role("button", name="truth | prediction").click()
        assert case.locator(".stage .tag").all_inner_texts() == ["truth", "prediction"]
        assert case.locator(".stage .over").get_attribute("src") == case.locator(
            "figure[data-layer=prediction] img"
        ).get_attribute("src")
        assert case.get_by_role("button", pressed=True).inner_text() == "truth | prediction"


def test_without_scripts_the_layers_stand_side_by_side(visit):
    page = visit(java_script_enabled=False).page
    first = page.locator(".case").first
    assert first.locator("figure[data-layer]").count() == 4
    tops = {round(figure.bounding_box()["y"]) for figure in first.locator("figure[data-layer]").all()}
    assert len(tops) == 1
    assert page.locator(".stage").count() == 0


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(visit, width):
    page = visit(width=width, height=844).page
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_the_divider_has_the_whole_width_and_the_layers_one_row(visit):
    page = visit(width=390, height=844).page
    case = page.locator(".case").first
    stage, body = (case.locator(part).bounding_box() for part in (".stage", ".body"))
    assert stage["width"] == pytest.approx(body["width"], abs=1)
    layers = [figure.bounding_box() for figure in case.locator("figure[data-layer]").all()]
    assert len({round(box["y"]) for box in layers}) == 1
    assert len({round(box["width"]) for box in layers}) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_of_the_charts_can_be_read(visit, scheme):
    """WCAG 2.1 asks for a contrast of 4.5 between text and what is behind it."""
    page = visit(color_scheme=scheme).page
    colours = page.evaluate(
        """() => [
            getComputedStyle(document.querySelector(".chart text")).fill,
            getComputedStyle(document.body).backgroundColor,
        ]"""
    )
    assert contrast(*colours) >= 4.5


def test_printing_shows_the_layers_instead_of_the_dividers(visit):
    page = visit().page
    page.emulate_media(media="print")
    assert not page.locator(".compare").first.is_visible()
    assert page.locator(".case figure[data-layer]").first.is_visible()


def contrast(one, other):
    """WCAG 2.1's contrast of two CSS colours "rgb(r, g, b)"."""
    light, dark = sorted((luminance(colour) for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
