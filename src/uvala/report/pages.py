"""The report of a run as one HTML file that needs nothing else: no network, no second file.

The template only lays out; every number and word that it prints is made here and in the files beside. The one
script of the page moves the dividers of the cases; without it, the pictures stand side by side.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from uvala.evaluation.scores import Scores
from uvala.files import write_text
from uvala.metrics.pixels import confusion_matrix
from uvala.report import curves, sentences
from uvala.report.about import commands, in_words, provenance, training
from uvala.report.content import Card, Example, ReportData, ShownCase
from uvala.report.executive import findings
from uvala.report.measures import Main, main_measure
from uvala.report.pictures import Colour, case_pictures, css, overlay_picture, palette, picture_keys
from uvala.report.sections import object_section, partition_section, probability_section
from uvala.report.sheet import contact_sheet, first_column
from uvala.report.tables import score_tables

__all__ = ["Card", "Example", "ReportData", "ShownCase", "render", "write_report"]

# What keeps the page readable and, with the bytes that a picture may have, below 5 MB, whatever is handed in.
MOST_WORST, MOST_TYPICAL, MOST_BEST, MOST_SAMPLES = 5, 2, 2, 12
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
    script = environment.get_template("slider.js").render()
    return environment.get_template("report.html").render(
        page=_page(data),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _page(data: ReportData) -> dict[str, Any]:
    names = _class_names(data)
    colours = palette(names)
    cases = _cases(data, names, colours)
    shown = [case for group in cases.values() for case in group]
    anchors = {case["name"]: case["anchor"] for case in shown}
    scores = data.scores
    parts = {
        "warnings": list(_warnings(data)),
        "scores": score_tables(scores, names, colours, anchors) if scores else None,
        "objects": object_section(scores) if scores else None,
        "partition": partition_section(scores) if scores else None,
        "probabilities": probability_section(scores) if scores else None,
        "curves": _curves(data, names, colours),
        "augmented": _augmented(data, colours),
        **_data(data, names, colours),
    }
    return {
        **cases,
        **parts,
        "title": data.title,
        "finished": sentences.moment(data.card.get("finished", "")),
        "verdict": _verdict(data),
        "findings": findings(scores, data.score_subset, data.selecting_subset, data.chosen) if scores else [],
        "numbers": list(_numbers(data)),
        "sections": list(_sections(data, parts)),
        "worst_words": _worst_words(data, cases),
        "task": sentences.task_words(scores.task, scores.task_reason, main_measure(scores).title)
        if scores
        else "",
        "case_measure": main_measure(scores).title if scores else "Mean Dice",
        "sure": main_measure(scores).sure if scores else "",
        "imported": data.card.get("imported", ""),
        "training": list(training(data.card)),
        "settings": [(path, in_words(value), reason) for path, value, reason in data.settings],
        "log_notes": [str(event["text"]) for event in data.events if event.get("event") == "note"],
        "commands": list(commands(data)),
        "provenance": list(provenance(data.card)),
    }


def _class_names(data: ReportData) -> list[str]:
    if data.scores:
        return list(data.scores.class_names)
    if data.card.get("classes"):
        return [str(name) for name in data.card["classes"]]
    return list(dict.fromkeys(name for _, name, _, _ in data.encoding_rows)) or ["background", "foreground"]


def _sections(data: ReportData, parts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(id, heading) of each section of the page, in order."""
    if parts["warnings"]:
        yield "warnings", "Read this first"
    yield "worst", "Where it fails"
    yield "scores", "Scores"
    if parts["objects"]:
        yield "objects", "Objects"
    if parts["partition"]:
        yield "cells", "Cells and membranes"
    if parts["probabilities"]:
        yield "probabilities", "Probabilities"
    if parts["scores"]:
        yield "images", "All images"
        yield "method", "How it was measured"
    if data.events:
        yield "curves", "How it learned"
    yield "data", "Data"
    if parts["augmented"]:
        yield "augmented", "Augmentation"
    if "model" in data.card or "run" in data.card:
        yield "training", "Network" if data.card.get("imported") else "Training"
        yield "use", "How to use it"


def _verdict(data: ReportData) -> str:
    if data.scores is None:
        return sentences.verdict(None, 0, data.score_subset, data.selecting_subset)
    main = main_measure(data.scores)
    return sentences.verdict(
        main.value,
        len(data.scores.images),
        data.score_subset,
        data.selecting_subset,
        main.title,
        data.scores.task,
    )


def _warnings(data: ReportData) -> Iterator[str]:
    yield from data.warnings
    said = [str(event.get("text")) for event in data.events if event.get("event") == "warning"]
    new = [text for text in dict.fromkeys(said) if text not in data.warnings]
    yield from new[:MOST_NAMED]
    if len(new) > MOST_NAMED:
        yield f"{sentences.plural(len(new) - MOST_NAMED, 'more warning')} in the log of the run."


def _numbers(data: ReportData) -> Iterator[dict[str, str]]:
    """The big numbers under the verdict."""
    scores, card = data.scores, data.card
    if scores:
        main = main_measure(scores)
        bounds = sentences.interval(main.interval)
        words = f"{main.sure} {bounds}" if bounds else "over all images"
        yield {"name": main.title, "value": sentences.score(main.value), "words": words}
        yield _second_number(scores, main)
        role = sentences.role(data.score_subset, data.selecting_subset)
        yield {"name": "Images scored", "value": f"{len(scores.images):,}", "words": role}
    if "model" not in card:
        return
    size = f"{sentences.count(card['parameters'])} parameters" if "parameters" in card else ""
    words = ", ".join(part for part in (card.get("model", ""), size) if part)
    if card.get("imported"):
        yield {"name": "Weights of", "value": str(card["imported"]), "words": words}
        return
    yield {"name": "Training time", "value": sentences.duration(card.get("seconds")), "words": words}


def _second_number(scores: Scores, main: Main) -> dict[str, str]:
    """A second view on the same masks: pixels where the main measure is of objects, IoU where it is Dice."""
    if main.name.partition("/")[0] in ("dice", "foreground_dice"):
        name, value, bounds = "Mean IoU", scores.mean_iou, scores.mean_iou_interval
    else:
        name, value, bounds = "Mean Dice", scores.mean_dice, scores.mean_dice_interval
    classes = sum(scored.dice is not None for scored in scores.classes)
    words = f"{main.sure} {sentences.interval(bounds)}" if bounds else f"mean of {classes} classes"
    return {"name": name, "value": sentences.score(value), "words": words if bounds or classes > 1 else ""}


def _cases(data: ReportData, names: Sequence[str], colours: Colour) -> dict[str, list[dict[str, Any]]]:
    """The case at the top, the worst, the other typical and the best ones; no image is shown twice."""
    top = [*data.typical[:1]] or sorted(data.worst, key=_worst_first)[-1:]
    groups: dict[str, Sequence[ShownCase]] = {"top": top}
    seen = {case.name for case in top}
    for group, cases, most in (
        ("worst", sorted(data.worst, key=_worst_first), MOST_WORST),
        ("typical", data.typical, MOST_TYPICAL),
        ("best", sorted(data.best, key=_worst_first, reverse=True), MOST_BEST),
    ):
        groups[group] = [case for case in cases if case.name not in seen][:most]
        seen |= {case.name for case in groups[group]}
    return {
        group: [_case(case, f"{group}-{number}", names, colours) for number, case in enumerate(cases, 1)]
        for group, cases in groups.items()
    }


def _worst_first(case: ShownCase) -> float:
    value = _value_of(case)
    return float("inf") if value is None else value


def _value_of(case: ShownCase) -> float | None:
    return case.mean_dice if case.score is None else case.score


def _case(case: ShownCase, anchor: str, names: Sequence[str], colours: Colour) -> dict[str, Any]:
    pictures = case_pictures(case, names, colours)
    confusion = confusion_matrix(case.prediction, case.truth, len(names))
    return {
        "name": case.name,
        "anchor": anchor,
        "score": sentences.score(_value_of(case)),
        "words": case.caption or pictures.words or sentences.case_words(confusion, names),
        "pictures": pictures,
    }


def _worst_words(data: ReportData, cases: Mapping[str, Sequence[Any]]) -> str:
    images, shown = len(data.scores.images) if data.scores else 0, len(cases["worst"])
    if shown:
        what = "The lowest score" if shown == 1 else f"The {shown} lowest scores"
        of = f" of {sentences.plural(images, 'image')}" if images else ""
        return f"{what}{of}, worst first."
    if not images:
        return "No image was scored, so there is nothing to show here yet."
    if images == 1 and cases["top"]:
        return "Only one image was scored: the one above."
    if cases["top"]:
        return "Too few images were scored to tell the worst of them from the others."
    return "No pictures of the scored images were kept."


def _curves(data: ReportData, names: Sequence[str], colours: Colour) -> dict[str, Any]:
    progress = curves.progress(data.events)
    return {"remark": curves.remarks(progress), "charts": curves.charts(progress, names, colours)}


def _augmented(data: ReportData, colours: Colour) -> dict[str, Any] | None:
    """What the section about the changes of training images prints; None where nothing is known of them."""
    if not data.augmented:
        return None
    return {
        "words": data.augmentation,
        "sheet": contact_sheet(data.augmented, colours),
        "first": f"{first_column(len(data.augmented[0].images)):.2%}",
        "names": sentences.listed(list(dict.fromkeys(patch.name for patch in data.augmented))),
    }


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
        "scored_data": data.scored_data,
        "samples_scored": data.samples_scored,
        "samples": [
            {"name": example.name, "picture": overlay_picture(example, colours)}
            for example in data.samples[:MOST_SAMPLES]
        ],
        "class_keys": picture_keys(range(min(len(names), MOST_KEYS)), names, colours),
    }
