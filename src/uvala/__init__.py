"""uvala: from a folder of images and masks to a trained, evaluated, deployed U-Net.

Public names are imported when they are first used, so that `import uvala` costs milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from uvala import instances, metrics
    from uvala.api.importing import import_weights
    from uvala.api.planning import plan_training
    from uvala.api.run import Run, load_run
    from uvala.api.training import train
    from uvala.data.check import check
    from uvala.data.dataset import Dataset, read_dataset
    from uvala.data.synthetic import write_sample_data
    from uvala.errors import UvalaError
    from uvala.evaluation.compare import compare
    from uvala.evaluation.evaluate import evaluate
    from uvala.models.catalog import create_model
    from uvala.models.table import list_models
    from uvala.prediction.engine import Prediction
    from uvala.tiling.logits import predict_logits
    from uvala.weights.peers import from_peer, to_peer

_HOME = {
    "Dataset": "uvala.data.dataset",
    "Prediction": "uvala.prediction.engine",
    "Run": "uvala.api.run",
    "UvalaError": "uvala.errors",
    "check": "uvala.data.check",
    "compare": "uvala.evaluation.compare",
    "create_model": "uvala.models.catalog",
    "evaluate": "uvala.evaluation.evaluate",
    "from_peer": "uvala.weights.peers",
    "import_weights": "uvala.api.importing",
    "list_models": "uvala.models.table",
    "load_run": "uvala.api.run",
    "plan_training": "uvala.api.planning",
    "predict_logits": "uvala.tiling.logits",
    "read_dataset": "uvala.data.dataset",
    "to_peer": "uvala.weights.peers",
    "train": "uvala.api.training",
    "write_sample_data": "uvala.data.synthetic",
}

__all__ = [  # noqa: RUF022 - the order in which a reader meets them
    "read_dataset",
    "check",
    "plan_training",
    "train",
    "load_run",
    "evaluate",
    "compare",
    "metrics",
    "instances",
    "create_model",
    "list_models",
    "predict_logits",
    "from_peer",
    "to_peer",
    "import_weights",
    "write_sample_data",
    "Dataset",
    "Run",
    "Prediction",
    "UvalaError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name in ("metrics", "instances"):
        return import_module(f"uvala.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'uvala' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
