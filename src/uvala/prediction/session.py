"""An exported file, opened by the program that will run it: ONNX Runtime or OpenVINO."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvala.backends.openvino import import_openvino
from uvala.errors import BackendError, RunError
from uvala.prediction.file_card import IMAGE, KEY, LEVELS, FileCard, as_file_card
from uvala.prediction.file_kinds import RUNNABLE, SUFFIXES

__all__ = ["Session", "open_session"]

Arrays = Mapping[str, NDArray[Any]]
"""Arrays by the names of inputs or outputs."""


@dataclass(frozen=True, eq=False)
class Session:
    """A file that can be run. run: inputs by name -> outputs by name; all of them are computed."""

    path: Path
    card: FileCard
    run: Callable[[Arrays], Arrays]

    def outputs(self, images: NDArray[np.float32], levels: NDArray[np.float32] | None = None) -> Arrays:
        """What the file says of images [B, C, H, W]; levels [B, C, 2]: None for those of each image."""
        inputs = {IMAGE: np.ascontiguousarray(images, np.float32)}
        if self.card.levels:
            unknown = np.full((*images.shape[:2], 2), np.nan, np.float32)
            inputs[LEVELS] = unknown if levels is None else levels
        return self.run(inputs)


def open_session(path: str | Path, *, threads: int | None = None) -> Session:
    """The file, ready to run on the CPU; threads: None leaves their number to the runtime.

    RunError for a file that is damaged or that uvala did not write, BackendError where its runtime is not
    installed.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in RUNNABLE or not path.is_file():
        raise RunError(
            found=f"{path}, which is {'of another kind' if path.exists() else 'not there'}",
            expected=f"a file that `uvala export` wrote, ending in {' or '.join(RUNNABLE)}",
            fix="check the path",
        )
    return (_open_onnx if suffix == SUFFIXES["onnx"] else _open_openvino)(path, threads)


def _open_onnx(path: Path, threads: int | None) -> Session:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError:
        raise _missing("onnxruntime", "onnx") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: what it warns of is how it plans the memory
    options.intra_op_num_threads = threads or 0
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NoModel,
        errors.NotImplemented,
        errors.RuntimeException,
        RuntimeError,
    ) as error:
        raise _damaged(path, error) from error
    card = _card(path, session.get_modelmeta().custom_metadata_map.get(KEY))

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(card.outputs, session.run(list(card.outputs), inputs), strict=True))

    return Session(path, card, run)


def _open_openvino(path: Path, threads: int | None) -> Session:
    try:
        openvino = import_openvino()
    except ImportError:
        raise _missing("openvino", "openvino") from None
    core = openvino.Core()
    # float32 throughout: on some processors the default is bfloat16, which is another network
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    try:
        model = core.read_model(path)
        compiled = core.compile_model(model, "CPU", options)
    except RuntimeError as error:
        raise _damaged(path, error) from error
    card = _card(path, model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None)

    def run(inputs: Arrays) -> Arrays:
        # a request of its own: one that is shared may be running in another thread
        try:
            results = compiled.create_infer_request().infer(dict(inputs))
        except RuntimeError as error:
            raise BackendError(
                found=f"{path.name}, which OpenVINO cannot compute: {str(error).strip().splitlines()[-1]}",
                expected="a file that it can run",
                fix="export the run with --to onnx",
            ) from error
        return {name: results[name].copy() for name in card.outputs}

    return Session(path, card, run)


def _card(path: Path, text: str | None) -> FileCard:
    card = None if text is None else as_file_card(text)
    if card is None:
        said = "says nothing of uvala" if text is None else "another version of uvala wrote"
        raise RunError(
            found=f"{path}, which {said}",
            expected="a file that `uvala export` of this version wrote",
            fix="export the run again",
        )
    return card


def _damaged(path: Path, error: Exception) -> RunError:
    return RunError(
        found=f"{path}, which cannot be opened ({(str(error).strip().splitlines() or ['no reason'])[0]})",
        expected="a file that `uvala export` wrote",
        fix="export the run again; this file is damaged or of another kind",
    )


def _missing(package: str, extra: str) -> BackendError:
    return BackendError(
        found=f"no {package} in this environment",
        expected=f"the extra `{extra}`",
        fix=f"install it: pip install 'uvala[{extra}]'",
    )
