"""A small, complete report without any training: drawn discs, shifted to make predictions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from uvala.evaluation.evaluate import evaluate
from uvala.report.content import Case, Example, ReportData
from uvala.report.pages import render

CLASSES = ("background", "cell")


class Page(HTMLParser):
    """What a browser would see of a page: its elements, ids, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in {"meta", "link", "img", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    def ids(self, tag: str) -> list[str]:
        return [attributes["id"] for name, attributes in self.elements if name == tag and "id" in attributes]

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


def discs(size: int = 96, shift: int = 0) -> np.ndarray:
    """A class map with two discs: uint8 [size, size], 0 and 1."""
    y, x = np.mgrid[:size, :size]
    near = [(y - cy * size) ** 2 + (x - cx * size - shift) ** 2 for cy, cx in ((0.3, 0.3), (0.7, 0.6))]
    return (np.minimum(*near) < (0.15 * size) ** 2).astype(np.uint8)


def case(name: str, shift: int = 2, size: int = 96, mean_dice: float | None = 0.9) -> Case:
    """A case whose prediction is the truth moved by `shift` pixels."""
    truth = discs(size)
    return Case(name, image_of(truth), truth, discs(size, shift), mean_dice)


def image_of(truth: np.ndarray) -> np.ndarray:
    """A grey image [1, H, W], uint8, in which the discs are bright."""
    grain = np.random.default_rng(0).integers(0, 60, truth.shape)
    return (grain + 120 * (truth == 1)).astype(np.uint8)[None]


def report_data(cases: Sequence[Case] | None = None, names: Sequence[str] = CLASSES, **changes) -> ReportData:
    """A report on `cases`: by default six, each a little worse than the one before."""
    cases = [case(f"{shift}.png", shift) for shift in range(1, 7)] if cases is None else cases
    scores = evaluate([(c.name, c.prediction, c.truth) for c in cases], names, "test") if cases else None
    if scores:
        found = {image.name: image.mean_dice for image in scores.images}
        cases = [replace(c, mean_dice=found[c.name]) for c in cases]
    shares = [("0", names[0], 0.9, len(cases)), ("255", names[1], 0.1, len(cases))]
    data = ReportData(
        title="discs",
        card={
            "classes": list(names),
            "model": "unet",
            "parameters": 1_940_817,
            "seconds": 581.4,
            "steps": 900,
        },
        encoding_rows=shares,
        data_notes=["8 images of 96x96"],
        split_counts={"train": 20, "val": 4, "test": len(cases)},
        split_origin="drawn with seed 1",
        settings=[("patches.size", 96, "the images are no larger")],
        events=events(),
        scores=scores,
        worst=cases[-4:],
        typical=cases[1:3],
        samples=[Example(c.name, c.image, c.truth) for c in cases[:2]],
    )
    return replace(data, **changes)


def events(best_at: int = 9) -> list[dict]:
    """A log of 100 steps and 10 validations in 100 seconds."""
    steps = [{"event": "step", "time": n, "step": n, "loss": 1.0 / (1 + n)} for n in range(100)]
    checks = [
        {
            "event": "validation",
            "time": 10.0 * n + 9,
            "step": 10 * n + 9,
            "mean_dice": 0.09 * n,
            "dice": [0.9, 0.09 * n],
            "best": n == best_at,
        }
        for n in range(10)
    ]
    return sorted(steps + checks, key=lambda event: event["time"])


@pytest.fixture(scope="session")
def make() -> Callable[..., ReportData]:
    return report_data


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Case]:
    return case


@pytest.fixture(scope="session")
def log() -> Callable[..., list[dict]]:
    return events


@pytest.fixture(scope="session")
def look() -> Callable[[ReportData], Page]:
    return lambda data: Page(render(data))


@pytest.fixture(scope="session")
def page(look: Callable[[ReportData], Page]) -> Page:
    """The page of the default report."""
    return look(report_data())
