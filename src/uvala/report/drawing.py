"""matplotlib's drawings as SVG that belongs to the page: its fonts, its colours, by day and by night.

matplotlib places and draws. What it wrote is then made the page's own: colours become the page's CSS
variables, fonts its fonts, coordinates lose the decimals that nobody sees, and a user's words are put in
last, escaped. matplotlib never sees these words: it would warn of letters that its font lacks.
"""

import io
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ACCENT", "BAD", "HEIGHT", "INK", "LINE", "MUTED", "PAPER", "SOFT", "WIDTH", "Sheet"]

# One CSS pixel is one unit. Drawn at the width of a phone; a laptop shows two side by side.
WIDTH, HEIGHT = 440, 250
LEFT, RIGHT, TOP, BOTTOM = 42, 14, 16, 42
FONT = 11.5  # what matplotlib keeps room for; the size that is seen is the style sheet's

# Colours that no drawing uses stand for those of the page's style sheet until the SVG is written.
INK, SOFT, MUTED, LINE, ACCENT, BAD, PAPER = (f"#0101{number:02x}" for number in range(1, 8))
_PAINTS = dict(
    zip(
        (INK, SOFT, MUTED, LINE, ACCENT, BAD, PAPER),
        ("ink", "soft", "muted", "line", "accent", "bad", "paper"),
        strict=True,
    )
)
_OWN_STYLE: Any = {"svg.fonttype": "none", "font.size": FONT, "axes.unicode_minus": False}


class Sheet:
    """An empty chart to draw on. Use it as a context: matplotlib's settings are its own only inside.

    name: what a screen reader says; also makes the ids of this drawing differ from those of others. margins:
    left, right, top and bottom of the axes in pixels, None for the usual.
    """

    def __init__(
        self,
        name: str,
        *,
        height: float = HEIGHT,
        left: float = LEFT,
        right: float = RIGHT,
        top: float = TOP,
        bottom: float = BOTTOM,
    ) -> None:
        self.name, self.height, self._bottom = name, height, bottom
        self._box = (left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height)
        self._words: list[str] = []
        self._links: list[tuple[str, str | None]] = []
        self._open = ExitStack()

    def __enter__(self) -> "Sheet":
        self._open.enter_context(_own_settings(self.name))
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=(WIDTH / 72, self.height / 72), dpi=72)
        self.axes: Axes = self._figure.add_axes(self._box)
        _calm(self.axes)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def words(self, text: str) -> str:
        """What to hand to matplotlib for a text of the user's."""
        self._words.append(text)
        return f"W{len(self._words) - 1}W"

    def link(self, title: str, target: str | None = None) -> str:
        """What to hand to `set_urls` for a mark that tells its `title`, and leads to `target` in the page."""
        self._links.append((title, target))
        return f"link:{len(self._links) - 1}"

    def x_label(self, text: str) -> None:
        """Write what the x axis is, at its right end."""
        self.axes.annotate(
            self.words(text), (1, 0), (0, 5 - self._bottom), ha="right", va="bottom", annotation_clip=False,
            xycoords="axes fraction", textcoords="offset points",
        )  # fmt: skip

    def svg(self) -> Markup:
        """The drawing, ready to stand in the page."""
        stream = io.StringIO()
        nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        self._figure.savefig(stream, format="svg", metadata=nothing, transparent=True)
        drawing = stream.getvalue()
        body = _tidy(drawing[drawing.index(">", drawing.index("<svg")) + 1 : drawing.rindex("</svg>")])
        body = _linked(_named(body, f"c{zlib.crc32(self.name.encode()):x}"), self._links)
        body = re.sub(r"W(\d+)W", lambda found: str(escape(self._words[int(found[1])])), body)
        return Markup('<svg class="chart" viewBox="0 0 {} {:g}" role="img" aria-label="{}">{}</svg>').format(
            WIDTH, self.height, self.name, Markup(body)
        )


@contextmanager
def _own_settings(name: str) -> Iterator[None]:
    """matplotlib as it comes, whatever a user's matplotlibrc says, and the same ids each time."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_OWN_STYLE, "svg.hashsalt": name})
        yield


def _calm(axes: "Axes") -> None:
    """A frame that stands back: a line below, faint lines across, no ticks."""
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set(color=MUTED, alpha=0.6, linewidth=1)
    axes.tick_params(length=0, pad=7, labelsize=FONT)
    axes.grid(axis="y", color=LINE, linewidth=1)
    axes.set_axisbelow(True)
    axes.locator_params(nbins=5)


def _tidy(svg: str) -> str:
    """Without what the page's style sheet says better, and without more decimals than a pixel needs."""
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", svg)
    svg = re.sub(r'(<text style=")[^"]*"', lambda found: _text_style(found[0]), svg)
    svg = re.sub(r"<[^>]*>", lambda found: _rounded(found[0]), svg)
    svg = re.sub(r"(fill|stroke): (#[0-9a-f]{6})", lambda found: _paint(found[1], found[2]), svg)
    svg = svg.replace("xlink:href", "href")
    return re.sub(r"\s*\n\s*", " ", svg).replace("> <", "><")


def _rounded(tag: str) -> str:
    """A tenth of a pixel is enough for a place; opacities and widths keep what they have."""
    place, style, rest = tag.partition("style=")
    return re.sub(r"-?\d+\.\d\d+", _tenth, place) + style + re.sub(r"\d+\.\d{3,}", _tenth, rest)


def _tenth(found: re.Match[str]) -> str:
    return f"{float(found[0]):.1f}".removesuffix(".0")


def _text_style(start: str) -> str:
    """Weight, anchor and colour of a text; size and family are the style sheet's."""
    kept = [
        part.strip()
        for part in start.removeprefix('<text style="').rstrip('"').split(";")
        if part.strip().startswith(("font-weight", "text-anchor", "fill"))
    ]
    return f'<text style="{"; ".join(kept)}"'


def _paint(kind: str, colour: str) -> str:
    if colour in _PAINTS:
        return f"{kind}: var(--{_PAINTS[colour]})"
    # a class's own colour, mixed with ink: the dark one of class 0 would be lost by night, bright ones by day
    return f"{kind}: {colour}; {kind}: color-mix(in oklab, {colour}, var(--ink) 34%)"


def _named(svg: str, prefix: str) -> str:
    """Only the ids that are used stay, short, and no other drawing of the page has the same."""
    used = list(dict.fromkeys(re.findall(r'(?:url\(|href=")#([\w.-]+)', svg)))
    short = {name: f"{prefix}-{number}" for number, name in enumerate(used)}
    svg = re.sub(
        r' id="([\w.-]+)"', lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", svg
    )
    svg = re.sub(r'(url\(|href=")#([\w.-]+)', lambda found: f"{found[1]}#{short[found[2]]}", svg)
    # groups held the ids; what is left of them says nothing
    return re.sub(r"<g>(<(?:path|text)[^<]*?(?:/>|>[^<]*</text>))</g>", r"\1", svg.replace("<g/>", ""))


def _linked(svg: str, links: list[tuple[str, str | None]]) -> str:
    """Marks get their titles, and those that lead somewhere stay links."""

    def finish(found: re.Match[str]) -> str:
        title, target = links[int(found[1])]
        mark = re.sub(r'<g clip-path="[^"]*">(.*?)</g>', r"\1", found[2]).strip()
        kind = mark[1 : mark.index(" ")]
        mark = f"{mark.removesuffix('/>')}><title>{escape(title)}</title></{kind}>"
        return f'<a href="#{escape(target)}">{mark}</a>' if target else mark

    return re.sub(r'<a href="link:(\d+)" target="_blank">(.*?)</a>', finish, svg, flags=re.DOTALL)
