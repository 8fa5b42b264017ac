"""A small, complete report without any training: drawn discs, shifted to make predictions."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from uvala.evaluation.evaluate import evaluate
from uvala.evaluation.scores import (
    CurvePoint,
    Measure,
    ObjectScores,
    PartitionCurve,
    PartitionScores,
    ProbabilityScores,
    ReliabilityBin,
    Scores,
    SizeRecall,
)
from uvala.evaluation.task import FoundTask
from uvala.report.content import Example, ReportData, ShownCase
from uvala.report.pages import render

CLASSES = ("background", "cell")
QUICK = {"outlines": False, "resamples": 100}


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
        if not {"style", "script"} & set(self.open):
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


def case(name: str, shift: int = 2, size: int = 96, mean_dice: float | None = 0.9) -> ShownCase:
    """A case whose prediction is the truth moved by `shift` pixels."""
    truth = discs(size)
    return ShownCase(name, image_of(truth), truth, discs(size, shift), mean_dice)


def image_of(truth: np.ndarray) -> np.ndarray:
    """A grey image [1, H, W], uint8, in which the discs are bright."""
    grain = np.random.default_rng(0).integers(0, 60, truth.shape)
    return (grain + 120 * (truth == 1)).astype(np.uint8)[None]


def report_data(
    cases: Sequence[ShownCase] | None = None, names: Sequence[str] = CLASSES, **changes
) -> ReportData:
    """A report on `cases`: by default six, each a little worse than the one before."""
    cases = [case(f"{shift}.png", shift) for shift in range(1, 7)] if cases is None else cases
    pairs = [(c.name, c.prediction, c.truth) for c in cases]
    scores = evaluate(pairs, names, "test", settings=QUICK, task=FoundTask("semantic")) if pairs else None
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


THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))

OBJECTS = ObjectScores(
    thresholds=THRESHOLDS,
    true_positives=(87, 85, 82, 80, 75, 70, 60, 45, 25, 8),
    false_positives=(13, 15, 18, 20, 25, 30, 40, 55, 75, 92),
    false_negatives=(13, 15, 18, 20, 25, 30, 40, 55, 75, 92),
    ap=(0.77, 0.74, 0.69, 0.67, 0.6, 0.54, 0.43, 0.29, 0.14, 0.04),
    f1=(0.87, 0.85, 0.82, 0.8, 0.75, 0.7, 0.6, 0.45, 0.25, 0.08),
    mean_ap=0.491,
    image_mean_ap=0.48,
    mean_ap_interval=(0.42, 0.56),
    panoptic_quality=0.7,
    true_objects=100,
    predicted_objects=100,
    missed=6,
    spurious=4,
    split=3,
    merged=9,
    sizes=(
        SizeRecall(smallest=12, largest=60, objects=40, found=28),
        SizeRecall(smallest=61, largest=300, objects=60, found=59),
    ),
    method="Connected pieces above 0.55.",
)

CURVE = PartitionCurve(
    thinned=False,
    thresholds=(0.3, 0.5, 0.7),
    v_rand=(0.8, 0.9, 0.85),
    v_rand_split=(0.98, 0.95, 0.8),
    v_rand_merge=(0.7, 0.85, 0.95),
    v_info=(0.82, 0.91, 0.86),
    v_info_split=(0.98, 0.95, 0.8),
    v_info_merge=(0.7, 0.87, 0.95),
    best_v_rand=0.9,
    best_v_rand_threshold=0.5,
    best_v_info=0.91,
    best_v_info_threshold=0.5,
)

CELLS = PartitionScores(
    plain=CURVE, thinned=CURVE.model_copy(update={"thinned": True}), chosen_threshold=0.52, v_rand=0.89
)

PROBABILITIES = ProbabilityScores(
    calibration_error=0.034,
    largest_calibration_error=0.12,
    brier=0.08,
    log_loss=0.14,
    temperature=1.31,
    reliability=tuple(
        ReliabilityBin(confidence=confidence, accuracy=accuracy, pixels=pixels)
        for confidence, accuracy, pixels in ((0.6, 0.5, 100), (0.9, 0.84, 200), (0.99, 0.97, 9000))
    ),
    curve=tuple(
        CurvePoint(threshold=step / 10, precision=0.5 + step / 20, recall=1 - step / 12, f1=0.7 + step / 60)
        for step in range(1, 10)
    ),
    pixels=9300,
)

OUTLINES = (
    Measure(name="hd95/cell", mean=4.31, interval=(3.2, 5.9), higher_is_better=False, unit="px", images=6),
    Measure(name="nsd/cell", words="within the tolerance", mean=0.913, images=6, missed=1),
)


def with_everything(data: ReportData, task: str = "instances") -> ReportData:
    """The report with every part that an evaluation may have; `task` decides the main measure."""
    assert data.scores is not None
    main = {"semantic": "dice", "instances": "ap", "membranes": "v_rand"}[task]
    images = tuple(
        image.model_copy(update={"measures": {main: image.mean_dice, "true_objects": 2.0}, "group": "a"})
        for image in data.scores.images
    )
    scores: Scores = data.scores.model_copy(
        update={
            "task": task,
            "main": main,
            "main_value": 0.491,
            "main_interval": (0.42, 0.56),
            "images": images,
            "objects": OBJECTS,
            "partition": CELLS if task == "membranes" else None,
            "probabilities": PROBABILITIES,
            "measures": OUTLINES,
        }
    )
    return replace(data, scores=scores)


def with_objects(case: ShownCase) -> ShownCase:
    """The case with its two discs as objects; the second one is missed."""
    rows = np.arange(len(case.truth))[:, None]
    lower = 1 + (rows > 0.5 * len(case.truth)).astype(np.int32)
    predicted = (case.prediction == 1) * lower
    return replace(
        case,
        true_objects=((case.truth == 1) * lower).astype(np.int32),
        objects=np.where(predicted == 2, 0, predicted).astype(np.int32),
    )


@pytest.fixture(scope="session")
def complete() -> Callable[..., ReportData]:
    return with_everything


@pytest.fixture(scope="session")
def objects_in() -> Callable[[ShownCase], ShownCase]:
    return with_objects


@pytest.fixture(scope="session")
def make() -> Callable[..., ReportData]:
    return report_data


@pytest.fixture(scope="session")
def make_case() -> Callable[..., ShownCase]:
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
