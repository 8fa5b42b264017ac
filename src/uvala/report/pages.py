"""The report of a run as one HTML file that needs nothing else: no network, no script, no second file.

The template only lays out; every number and word that it prints is made here and in the files beside.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from uvala.evaluation.scores import Scores
from uvala.files import write_text
from uvala.metrics.pixels import confusion_matrix
from uvala.report import curves, sentences
from uvala.report.content import Card, Case, Example, ReportData
from uvala.report.pictures import Colour, case_pictures, css, overlay_picture, palette, picture_keys
from uvala.report.tables import image_scores, score_tables

__all__ = ["Card", "Case", "Example", "ReportData", "render", "write_report"]

# What keeps the page readable and, with the bytes that a picture may have, below 5 MB, whatever is handed in.
MOST_WORST, MOST_TYPICAL, MOST_SAMPLES = 6, 3, 12
MOST_KEYS = 14  # entries of a legend
MOST_NAMED = 4  # warnings of one kind from the log; the rest is counted


def write_report(path: Path, data: ReportData) -> None:
    """Write the page to `path`, whole or not at all. Raises StorageError if it cannot be written."""
    write_text(path, render(data))


def render(data: ReportData) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("uvala.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(page=_page(data))


def _page(data: ReportData) -> dict[str, Any]:
    names = _class_names(data)
    colours = palette(names)
    cases = _cases(data, names, colours)
    shown = [case for group in cases.values() for case in group]
    anchors = {case["name"]: case["anchor"] for case in shown}
    warnings = list(_warnings(data))
    return {
        **cases,
        "title": data.title,
        "finished": sentences.moment(data.card.get("finished", "")),
        "verdict": _verdict(data),
        "lead": _lead(data.scores),
        "numbers": list(_numbers(data)),
        "warnings": warnings,
        "sections": list(_sections(bool(warnings))),
        "worst_words": _worst_words(data, cases),
        "scores": score_tables(data.scores, names, colours, anchors) if data.scores else None,
        "curves": _curves(data, names, colours),
        **_data(data, names, colours),
        "training": list(_training(data.card)),
        "settings": [(path, _value(value), reason) for path, value, reason in data.settings],
        "log_notes": [str(event["text"]) for event in data.events if event.get("event") == "note"],
        "commands": list(_commands(data.card, data.score_subset)),
        "provenance": list(_provenance(data.card)),
    }


def _class_names(data: ReportData) -> list[str]:
    if data.card.get("classes"):
        return [str(name) for name in data.card["classes"]]
    if data.scores:
        return [scored.name for scored in data.scores.classes]
    return list(dict.fromkeys(name for _, name, _, _ in data.encoding_rows)) or ["background", "foreground"]


def _sections(warnings: bool) -> Iterator[tuple[str, str]]:
    if warnings:
        yield "warnings", "Read this first"
    yield "worst", "Where it fails"
    yield "scores", "Scores"
    yield "curves", "How it learned"
    yield "data", "Data"
    yield "training", "Training"
    yield "use", "How to use it"


def _verdict(data: ReportData) -> str:
    scores = data.scores
    return sentences.verdict(
        scores.mean_dice if scores else None,
        len(scores.images) if scores else 0,
        data.score_subset,
        data.selecting_subset,
    )


def _lead(scores: Scores | None) -> str:
    """The second sentence: how the images spread, and which class is weakest if there are several."""
    if not scores:
        return ""
    words = sentences.distribution_words(image_scores(scores))
    scored = [(one.dice, one.name) for one in scores.classes if one.dice is not None]
    if len(scored) > 2:
        low, name = min(scored)
        words = f"{words} The weakest class is {name} with {sentences.score(low)}."
    return words.strip()


def _warnings(data: ReportData) -> Iterator[str]:
    yield from data.warnings
    said = [str(event.get("text")) for event in data.events if event.get("event") == "warning"]
    new = [text for text in dict.fromkeys(said) if text not in data.warnings]
    yield from new[:MOST_NAMED]
    if len(new) > MOST_NAMED:
        yield f"{sentences.plural(len(new) - MOST_NAMED, 'more warning')} in the log of the run."
    images = len(data.scores.images) if data.scores else 0
    yield from sentences.caveats(images, data.score_subset, data.selecting_subset)


def _numbers(data: ReportData) -> Iterator[dict[str, str]]:
    """The big numbers under the verdict."""
    scores, card = data.scores, data.card
    if scores:
        classes = sum(scored.dice is not None for scored in scores.classes)
        mean = f"mean of {classes} classes" if classes > 1 else ""
        yield {"name": "Mean Dice", "value": sentences.score(scores.mean_dice), "words": mean}
        yield {"name": "Mean IoU", "value": sentences.score(scores.mean_iou), "words": "overlap over union"}
        role = sentences.role(data.score_subset, data.selecting_subset)
        yield {"name": "Images scored", "value": f"{len(scores.images):,}", "words": role}
    size = f"{sentences.count(card['parameters'])} parameters" if "parameters" in card else ""
    words = ", ".join(part for part in (card.get("model", ""), size) if part)
    yield {"name": "Training time", "value": sentences.duration(card.get("seconds")), "words": words}


def _cases(data: ReportData, names: Sequence[str], colours: Colour) -> dict[str, list[dict[str, Any]]]:
    """The case at the top, the worst and the other typical ones; no image is shown twice."""
    top = [*data.typical[:1]] or sorted(data.worst, key=_worst_first)[-1:]
    seen = {case.name for case in top}
    worst = sorted((case for case in data.worst if case.name not in seen), key=_worst_first)[:MOST_WORST]
    seen |= {case.name for case in worst}
    typical = [case for case in data.typical if case.name not in seen][:MOST_TYPICAL]
    return {
        group: [_case(case, f"{group}-{number}", names, colours) for number, case in enumerate(cases, 1)]
        for group, cases in (("top", top), ("worst", worst), ("typical", typical))
    }


def _worst_first(case: Case) -> float:
    return float("inf") if case.mean_dice is None else case.mean_dice


def _case(case: Case, anchor: str, names: Sequence[str], colours: Colour) -> dict[str, Any]:
    confusion = confusion_matrix(case.prediction, case.truth, len(names))
    return {
        "name": case.name,
        "anchor": anchor,
        "score": sentences.score(case.mean_dice),
        "words": case.caption or sentences.case_words(confusion, names),
        "pictures": case_pictures(case, names, colours),
    }


def _worst_words(data: ReportData, cases: Mapping[str, Sequence[Any]]) -> str:
    images, shown = len(data.scores.images) if data.scores else 0, len(cases["worst"])
    if shown:
        what = "The lowest score" if shown == 1 else f"The {shown} lowest scores"
        of = f" of {sentences.plural(images, 'image')}" if images else ""
        return f"{what}{of}, worst first. Choose a picture to enlarge it."
    if not images:
        return "No image was scored, so there is nothing to show here yet."
    if images == 1 and cases["top"]:
        return "Only one image was scored: the one above."
    return "No pictures of the scored images were kept."


def _curves(data: ReportData, names: Sequence[str], colours: Colour) -> dict[str, Any]:
    progress = curves.progress(data.events)
    return {"remark": curves.remarks(progress), "charts": curves.charts(progress, names, colours)}


def _data(data: ReportData, names: Sequence[str], colours: Colour) -> dict[str, Any]:
    """What the section about the data prints."""
    index = {name: number for number, name in enumerate(names)}
    return {
        "data_notes": [note for note in data.data_notes if note],
        "encoding": [
            {
                "value": value,
                "name": name,
                # a value that belongs to no class is ignored: it has no colour
                "colour": css(colours[index[name]]) if name in index else None,
                "share": share,
                "words": sentences.percent(share),
                "images": f"{images:,}",
            }
            for value, name, share, images in data.encoding_rows
        ],
        "split": [
            {"name": name, "images": images, "words": sentences.plural(images, "image")}
            for name, images in data.split_counts.items()
        ],
        "split_origin": data.split_origin,
        "samples": [
            {"name": example.name, "picture": overlay_picture(example, colours)}
            for example in data.samples[:MOST_SAMPLES]
        ],
        "class_keys": picture_keys(range(min(len(names), MOST_KEYS)), names, colours),
    }


def _training(card: Card) -> Iterator[tuple[str, str]]:
    """Name and value of each fact about the training that is known."""
    if "model" in card:
        options = ", ".join(f"{name} {_value(value)}" for name, value in card.get("options", {}).items())
        yield "Network", f"{card['model']} ({options})" if options else card["model"]
    if "parameters" in card:
        yield "Parameters", f"{card['parameters']:,}"
    if "seconds" in card:
        yield "Time", sentences.duration(card["seconds"])
    if "steps" in card:
        best = card.get("best_step")
        yield (
            "Steps",
            f"{card['steps']:,}" + (f"; the best weights are those of step {best:,}" if best else ""),
        )
    if "device" in card:
        yield "Device", card["device"]
    if "seed" in card:
        yield "Seed", str(card["seed"])


def _commands(card: Card, subset: str) -> Iterator[tuple[str, str]]:
    """What the model is good for, as (words, lines to copy)."""
    run = card.get("run", "RUN")
    folder = shlex.quote(run) if "run" in card else run
    data = shlex.quote(card["data"]) if "data" in card else "DATA"
    yield (
        "Masks for new images, in the encoding of your own masks:",
        f"uvala predict {folder} IMAGES --out MASKS",
    )
    yield (
        "The scores on labelled images:",
        f"uvala evaluate {folder} {data}" + ("" if subset == "test" else f" --subset {subset}"),
    )
    yield (
        "The same from Python:",
        "import uvala\n\n"
        f"run = uvala.load_run({json.dumps(run, ensure_ascii=False)})\n"
        "prediction = run.predict(image)  # array [H, W] or [H, W, C]\n"
        "prediction.mask                  # [H, W], class indices\n"
        "prediction.encoded               # the same in the encoding of your own masks\n"
        "prediction.probabilities         # [K, H, W]\n"
        "prediction.overlay()             # [H, W, 3], to look at",
    )


def _provenance(card: Card) -> Iterator[str]:
    made = " ".join(
        part
        for part in ("Trained", sentences.moment(card.get("finished", "")), _on(card.get("machine")))
        if part
    )
    if made != "Trained":
        yield f"{made}."
    if "versions" in card:
        yield ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    yield "This file is complete: it loads nothing, runs no script, and can be kept, sent or printed."


def _on(machine: str | None) -> str:
    return f"on {machine}" if machine else ""


def _value(value: Any) -> str:
    """A setting as it would stand in the TOML file."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items())
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, default=str)
