"""The table of all networks: what each is, where it is from, what it costs.

The numbers lie beside this file in networks.json, so that a list costs milliseconds and no torch.
`docs/make_models.py` measures them anew.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["COLUMNS", "Network", "list_models"]

COLUMNS = {
    "name": "what `create_model` takes",
    "summary": "what it is",
    "origin": "whose form of it this is",
    "paper": "where it was published",
    "parameters": "weights, for 3 channels and 2 classes",
    "multiply_adds": "for one image of 512x512",
    "receptive_field": "pixels across, of convolutions and pooling; none: the whole image",
    "stride": "of its coarsest features; tiles begin at multiples of it",
    "halo": "context that a tile needs for the numbers of the whole image, pixels; none: tiles are blended",
    "statistics": "numbers of the whole image that its tiles have to know first, a pass over the image each",
    "sizes": "heights and widths that it takes",
}


class Network(str):
    """The name of a network, and what is known of it.

    parameters and multiply_adds (of one image of 512x512) count a network for 3 channels and 2 classes with
    the options that it has by default; receptive_field is in pixels across, None: the whole image; halo is
    None where no tile gives the numbers of the whole image.
    """

    __slots__ = (
        "halo",
        "multiply_adds",
        "origin",
        "paper",
        "parameters",
        "receptive_field",
        "sizes",
        "statistics",
        "stride",
        "summary",
    )

    origin: str
    paper: str
    summary: str
    parameters: int
    multiply_adds: int
    receptive_field: int | None
    stride: int
    halo: int | None
    statistics: int
    sizes: str

    def __new__(cls, name: str, **facts: Any) -> "Network":
        """The name with its facts."""
        network = super().__new__(cls, name)
        for key, value in facts.items():
            setattr(network, key, value)
        return network

    @property
    def tiles(self) -> str:
        """How a large image is cut: "exact", "blended", or "N passes" over it before the cut is exact."""
        if self.halo is None:
            return "blended"
        if not self.statistics:
            return "exact"
        return "1 pass" if self.statistics == 1 else f"{self.statistics} passes"

    @property
    def name(self) -> str:
        """The name itself, as a plain string."""
        return str.__str__(self)

    def as_dict(self) -> dict[str, Any]:
        """All facts, by the names of the columns."""
        return {column: getattr(self, column) for column in COLUMNS}


@cache
def _rows() -> tuple[Network, ...]:
    text = files("uvala.models").joinpath("networks.json").read_text(encoding="utf-8")
    return tuple(Network(**row) for row in json.loads(text))


def list_models() -> list[Network]:
    """The names that `create_model` takes, in alphabetical order, each with what is known of the network.

    A family that takes any encoder of timm stands here with its usual one ("unet:resnet34").
    """
    return list(_rows())
