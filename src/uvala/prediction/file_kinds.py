"""Kinds of exported files, by what their names end in. Imports nothing heavy, for the command line."""

from pathlib import Path
from typing import Literal

__all__ = ["RUNNABLE", "SUFFIXES", "Target", "names_exported"]

Target = Literal["onnx", "openvino", "torch", "bioimageio"]

SUFFIXES: dict[Target, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2", "bioimageio": ".zip"}
"""What the name of a file ends in."""

RUNNABLE = (SUFFIXES["onnx"], SUFFIXES["openvino"])
"""Of those that predict as a run does. A .pt2 is not among them: opening one may run code that is in it."""


def names_exported(path: Path) -> bool:
    """Whether a path names an exported file, there or not, rather than a run folder."""
    return path.suffix.lower() in SUFFIXES.values() and not path.is_dir()
