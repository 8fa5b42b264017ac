"""Measure every network and write docs/models.md, its pictures and the table that `uvala models` shows.

python docs/make_models.py                # measure what is new, keep the numbers of the others
python docs/make_models.py unet segnet    # measure these anew as well
python docs/make_models.py all            # measure all; minutes, since experiments find the receptive fields
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from pathlib import Path

import torch
from torch import Tensor, nn

from uvala.files import write_text
from uvala.models.catalog import create_model, model_config, model_facts, model_names
from uvala.models.facts import measure, receptive_field
from uvala.models.table import COLUMNS, Network
from uvala.tiling.config import TileConfig
from uvala.weights.peers import forms_of, list_origins

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "src/uvala/models/networks.json"
PAGE = ROOT / "docs/models.md"
PICTURES = ROOT / "docs/models"
CHANNELS, CLASSES = 3, 2
PROBE = 512  # pixels; a picture tells the levels from the sizes of the maps


def main(names: list[str]) -> None:
    """Write the table, the pictures and the page."""
    rows = {row["name"]: row for row in json.loads(TABLE.read_text())} if TABLE.exists() else {}
    for name in model_names():
        if name not in rows or name in names or names == ["all"]:
            began = time.monotonic()
            rows[name] = row_of(name)
            print(f"{name}: {time.monotonic() - began:.1f} s", flush=True)
            write_table([rows[each] for each in model_names() if each in rows])
        else:
            rows[name] |= told_by(name)
        write_text(PICTURES / f"{file_name(name)}.svg", picture_of(name))
    kept = [rows[name] for name in model_names()]
    write_table(kept)
    write_text(PAGE, page([Network(**row) for row in kept]))


def write_table(rows: list[dict[str, object]]) -> None:
    """The table, a row a line."""
    write_text(TABLE, "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def told_by(name: str) -> dict[str, object]:
    """What a network says of itself, which nobody has to measure."""
    facts = model_facts(name)
    return {key: facts[key] for key in ("summary", "origin", "paper")}


def row_of(name: str) -> dict[str, object]:
    """What `uvala models` says of a network."""
    model = create_model(name, in_channels=CHANNELS, num_classes=CLASSES)
    # valid convolutions are measured as they predict: with the border mirrored
    whole = {"borders": "mirror"} if "borders" in model_config(name).model_fields else {}
    predicting = create_model(name, in_channels=CHANNELS, num_classes=CLASSES, **whole)
    measured = measure(predicting, CHANNELS)
    return {
        "name": name,
        **told_by(name),
        "parameters": measured.parameters,
        "multiply_adds": measured.multiply_adds_512,
        "receptive_field": receptive_field(predicting, CHANNELS),
        "stride": measured.multiple,
        "halo": measured.halo,
        "statistics": measured.statistics,
        "sizes": sizes(model),
    }


def sizes(model: nn.Module) -> str:
    """Which heights and widths a network takes, in words."""
    if crops := getattr(model, "crops", 0):
        return f"from {2 * crops + 4}; the logits lack {crops} pixels on each side"
    multiple = getattr(model, "multiple", 1)
    return "any" if multiple == 1 else f"any; computed at multiples of {multiple}"


# ---- the picture: what the network computes, in the order in which it does


@dataclass
class Bar:
    """Neighbouring layers of one size: how many, of how many channels, at which fraction of the image."""

    level: float
    channels: int
    layers: int


def bars_of(name: str) -> list[Bar]:
    """The maps that a network makes of an image, found by running it without numbers."""
    model = create_model(name, in_channels=CHANNELS, num_classes=CLASSES).to("meta").eval()
    bars: list[Bar] = []

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] > 1:
            level = max(0.0, round(2 * log2(PROBE / output.shape[-1])) / 2)  # some pad the image first
            channels = output.shape[1]
            if bars and (bars[-1].level, bars[-1].channels) == (level, channels):
                bars[-1].layers += 1
            else:
                bars.append(Bar(level, channels, 1))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        model(torch.empty(1, CHANNELS, PROBE, PROBE, device="meta"))
    return thinned(bars)


def thinned(bars: list[Bar], most: int = 24) -> list[Bar]:
    """At most so many bars: the smallest neighbours of one level are told together."""
    while len(bars) > most:
        pairs = [index for index in range(len(bars) - 1) if bars[index].level == bars[index + 1].level]
        if not pairs:
            break
        index = min(pairs, key=lambda each: bars[each].layers + bars[each + 1].layers)
        one, other = bars[index], bars[index + 1]
        bars[index : index + 2] = [
            Bar(one.level, max(one.channels, other.channels), one.layers + other.layers)
        ]
    return bars


LEVEL, TALL, GAP, MARGIN = 30, 56, 5, 14  # pixels of the picture


def picture_of(name: str) -> str:
    """An SVG: a bar for the layers of one size, lower where the map is smaller, wider with more channels."""
    bars = bars_of(name)
    x, shapes, deepest = float(MARGIN), [], 0.0
    for bar in bars:
        width = 3 + 1.6 * log2(1 + bar.channels)
        height = max(8.0, TALL * 2 ** (-bar.level / 2))
        y = MARGIN + bar.level * LEVEL
        shapes.append(
            f'<rect class="bar" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="2">'
            f"<title>{bar.layers} x {bar.channels} channels at 1/{2**bar.level:g}</title></rect>"
            f'<text x="{x + width / 2:.0f}" y="{y - 3:.0f}">{bar.channels}</text>'
        )
        x += max(width, 18) + GAP
        deepest = max(deepest, y + height)
    wide, high = x + MARGIN, deepest + MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" width="{wide:.0f}" '
        f'height="{high:.0f}"><rect width="100%" height="100%" rx="6" fill="#f7f7f4"/>'
        f"<style>.bar{{fill:#2f6f8f}}text{{font:8px sans-serif;fill:#555;text-anchor:middle}}</style>"
        f"{''.join(shapes)}</svg>\n"
    )


# ---- the page

HEAD = """# Networks

Every network gives logits `[B, num_classes, H, W]` for images `[B, in_channels, H, W]`:
`uvala.create_model(NAME, in_channels=3, num_classes=2, **options)`, or `uvala train DATA --model NAME`.
`uvala models` prints this table, `uvala models --json` all that is known.

Measured for 3 channels and 2 classes; multiply-adds for one image of 512x512. Receptive field: pixels
across that one pixel of the logits can depend on, by experiment. Stride: of the coarsest features. Tiles:
*exact* where large images are cut so that every number is that of the whole image, with the context that it
takes, pixels on each side; *passes* where the network first wants so many numbers of the whole image (of
instance norms, of squeezes), each of which costs a pass over it: up to {statistics} (`tiles.statistics`) the
cut is exact, with more of them tiles are blended; *blended* where no cut can be exact.

In a picture a bar is the convolutions of one size, in the order of computation: lower is coarser, wider has
more channels (the number above it).

"""


PEERS = """## Checkpoints of other projects

`uvala import-weights FILE --out RUN` makes a run of a checkpoint that another project trained, for `uvala
predict` and all that follows; `uvala export-weights RUN --to ORIGIN --out FILE` is the way back. In Python:
`model = uvala.from_peer(ORIGIN, state_dict)` and `uvala.to_peer(ORIGIN, model)`. The options of the network
are read from the keys and shapes; what these cannot tell is taken as the project has it by default (last
column), and `--hint OPTION=VALUE` (in Python `OPTION=VALUE`) changes it. Files are read without running any
code in them.
"""


def page(networks: list[Network]) -> str:
    """docs/models.md"""
    head = HEAD.replace("{statistics}", str(TileConfig().statistics))
    lines = [head + "\n".join(table(networks)), *peers(), *(card(network) for network in networks)]
    return "\n".join(lines)


def peers() -> Iterator[str]:
    """Whose checkpoints can be read."""
    yield "\n" + PEERS
    yield "| `--from` | its network | ours | taken by default |"
    yield "|---|---|---|---|"
    for name in list_origins():
        for form in forms_of(name):
            ours = f"`{form.model}ENCODER`" if form.model.endswith(":") else f"`{form.model}`"
            yield f"| `{name}` | {form.title} | {ours} | {', '.join(f'`{each}`' for each in form.assumes)} |"


def table(networks: list[Network]) -> Iterator[str]:
    """One line a network."""
    yield "| name | origin | paper | weights | multiply-adds | receptive field | stride | tiles |"
    yield "|---|---|---|--:|--:|--:|--:|---|"
    for each in networks:
        field = "image" if each.receptive_field is None else each.receptive_field
        tiles = each.tiles if each.halo is None else f"{each.tiles}, {each.halo}"
        yield (
            f"| [`{each.name}`](#{anchor(each.name)}) | {origin(each)} | {paper(each)} "
            f"| {each.parameters / 1e6:.1f} M | {each.multiply_adds / 1e9:.1f} G | {field} | {each.stride} "
            f"| {tiles} |"
        )


def card(network: Network) -> str:
    """What a reader wants to know of one network."""
    rows = [
        f"| `{name}` | `{field.get_default()!r}` | {field.description} |"
        for name, field in model_config(network.name).model_fields.items()
        if name not in ("in_channels", "num_classes")
    ]
    return "\n".join(
        [
            f"\n## {network.name}\n",
            f"{network.summary}\n",
            f"![{network.name}](models/{file_name(network.name)}.svg)\n",
            f"{origin(network)}; {paper(network)}. Sizes: {network.sizes}.\n",
            "| option | default | |\n|---|---|---|",
            *rows,
            "",
        ]
    )


def origin(network: Network) -> str:
    """Where it is from, as a link if it is a repository."""
    project = network.origin
    return f"[{project}](https://github.com/{project})" if "/" in project else project


def paper(network: Network) -> str:
    """Where it was published, as a link."""
    kind, _, number = network.paper.partition(":")
    if kind == "arXiv":
        return f"[{number}](https://arxiv.org/abs/{number})"
    return f"[{number}](https://doi.org/{number})" if kind == "doi" else network.paper


def file_name(name: str) -> str:
    """The name of a network as that of a file."""
    return name.replace(":", "_")


def anchor(name: str) -> str:
    """The name of a network as a heading's link."""
    return name.replace(":", "")


assert set(COLUMNS) == {"name", *Network.__slots__}

if __name__ == "__main__":
    main(sys.argv[1:])
