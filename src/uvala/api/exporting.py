"""A run as a file for other programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uvala.config import build, override
from uvala.errors import ConfigError, did_you_mean
from uvala.export.config import ExportConfig
from uvala.export.export import Exported, export_run
from uvala.prediction.file_kinds import SUFFIXES
from uvala.runs.folder import open_run
from uvala.training.allocator import keep_freed_memory

__all__ = ["export"]


def export(
    run: str | Path,
    out: str | Path,
    *,
    to: str = "onnx",
    mask: bool = False,
    int8: bool = False,
    fold: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Exported:
    """Write the network of a run as a file that says what PyTorch says, and what the comparison found.

    to: "onnx", "openvino", "torch" or "bioimageio". mask, int8, fold: as of `ExportConfig`. settings: any of
    its, such as {"most_dice_lost": 0.01}. Raises RunError, ConfigError, StorageError, and BackendError for a
    file that disagrees, which is not written.
    """
    if to not in SUFFIXES:
        raise ConfigError(
            found=f"--to {to}", expected=f"one of {', '.join(SUFFIXES)}", fix=did_you_mean(to, SUFFIXES)
        )
    where = "the settings of the export"
    config = build(ExportConfig, {"to": to, "mask": mask, "int8": int8, "fold": fold}, where=where)
    config = override(config, settings or {}, where=where)
    keep_freed_memory()
    return export_run(open_run(run), Path(out), config)
