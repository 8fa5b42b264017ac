"""What is told of the network itself: how it was trained, how it is used, where it comes from."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uvala.report import sentences
from uvala.report.content import Card, ReportData

__all__ = ["commands", "in_words", "provenance", "training"]


def training(card: Card) -> Iterator[tuple[str, str]]:
    """Name and value of each fact about the training that is known."""
    if "model" in card:
        options = ", ".join(f"{name} {in_words(value)}" for name, value in card.get("options", {}).items())
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


def commands(report: ReportData) -> Iterator[tuple[str, str]]:
    """What the model is good for, as (words, lines to copy)."""
    card, subset = report.card, report.score_subset
    run = card.get("run", "RUN")
    folder = shlex.quote(run) if "run" in card else run
    scored = report.scored_data or card.get("data", "")
    data = shlex.quote(scored) if scored else "DATA"
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


def provenance(card: Card) -> Iterator[str]:
    """Where the numbers come from, line by line, for the foot of the page."""
    if card.get("imported"):
        yield f"The weights are a checkpoint of {card['imported']}, scored here."
    made = " ".join(
        part
        for part in (
            "Imported" if card.get("imported") else "Trained",
            sentences.moment(card.get("finished", "")),
            _on(card.get("machine")),
        )
        if part
    )
    if made not in ("Trained", "Imported"):
        yield f"{made}."
    if "versions" in card:
        yield ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    yield (
        "This file is complete: it loads nothing, and can be kept, sent or printed. Its one script moves the"
        " dividers of the pictures."
    )


def _on(machine: str | None) -> str:
    return f"on {machine}" if machine else ""


def in_words(value: Any) -> str:
    """A setting as it would stand in the TOML file."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {in_words(inner)}" for name, inner in value.items())
    if isinstance(value, Sequence):
        return f"[{', '.join(map(in_words, value))}]"
    return json.dumps(value, default=str)
