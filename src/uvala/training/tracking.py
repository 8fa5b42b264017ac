"""Writers for TensorBoard and MLflow: listeners of a training's events. `log.jsonl` needs neither.

Nothing leaves the machine unless somebody asked for it: both write into the run folder, and MLflow elsewhere
only where its user has set MLFLOW_TRACKING_URI. A writer works in a thread of its own, and when it fails it
says so once and stops: no server that is slow or gone holds up a training.
"""

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from uvala.errors import ConfigError
from uvala.files import write_json
from uvala.log import Event, EventLog
from uvala.plan.schema import plan_values
from uvala.runs.folder import RunFolder

__all__ = ["TRACKERS", "Tracker", "place_of", "require_tracker", "track", "tracked"]

TRACKERS = ("tensorboard", "mlflow")
"""What a training can be tracked with; each is an extra of the same name."""

_NEEDS = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}
_MOST_WAITING = 10_000  # events; beyond that they are dropped, which only a server that hangs can bring about
_LAST_SECONDS = 10.0  # for what is still waiting when the training ends


class Writer(Protocol):
    """What a tracker writes to."""

    def settings(self, values: Mapping[str, Any]) -> None:
        """Write settings of the plan, by their dotted paths."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers of a step."""

    def close(self, texts: Mapping[str, str], *, finished: bool) -> None:
        """Write the last words; finished: whether the training reached its end."""


class Tracker:
    """Hands events to a writer, in a thread. Call it with each event; use it in a `with` block.

    warn: hears, once, why nothing more is written.
    """

    def __init__(self, open_writer: Callable[[], Writer], warn: Callable[[str], None]) -> None:
        self._open = open_writer
        self._warn = warn
        self._events: queue.Queue[Event | None] = queue.Queue(_MOST_WAITING)
        self._failed = False
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take note of an event; never waits and never raises."""
        if not self._failed:
            try:
                self._events.put_nowait(event)
            except queue.Full:
                self._give_up("it takes longer than the training")

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._failed:
            try:
                self._events.put(None, timeout=_LAST_SECONDS)
            except queue.Full:
                self._give_up("it takes too long to end")
                return
            self._thread.join(_LAST_SECONDS)
            if self._thread.is_alive():
                self._give_up("it takes too long to end")

    def _work(self) -> None:
        try:
            writer = self._open()
            last, texts, finished = 0, {}, False
            while (event := self._events.get()) is not None and not self._failed:
                last = max(last, int(event.get("step", 0)))
                _pass_on(event, writer, last)
                if event["event"] == "end":
                    finished = bool(event.get("finished"))
                    texts = {"report": str(event["report"])} if "report" in event else {}
            writer.close(texts, finished=finished)
        except Exception as error:  # a server, a disk or a package of others: none may end a training
            self._give_up(" ".join(str(error).split())[:200] or type(error).__name__)

    def _give_up(self, why: str) -> None:
        if not self._failed:
            self._failed = True
            self._warn(f"the training is no longer tracked: {why}")


def require_tracker(kind: str) -> None:
    """ConfigError unless trackers of this kind can be had, before any work is done."""
    if kind not in TRACKERS:
        raise ConfigError(
            found=f"a tracker called '{kind}'",
            expected=" or ".join(TRACKERS),
            fix="log.jsonl in the run folder needs neither",
        )
    missing = [package for package in _NEEDS[kind] if find_spec(package) is None]
    if missing:
        raise ConfigError(
            found=f"no {' and no '.join(missing)} in this Python",
            expected=f"the extra that {kind} needs",
            fix=f'pip install "uvala[{kind}]"',
        )


def track(kind: Literal["tensorboard", "mlflow"], run: Path, warn: Callable[[str], None]) -> Tracker:
    """A tracker of the training in the folder `run`; ConfigError where the extra is missing."""
    require_tracker(kind)
    writer = _TensorBoard if kind == "tensorboard" else _MLflow
    return Tracker(lambda: writer(run), warn)


@contextmanager
def tracked(run: RunFolder, log: EventLog) -> Iterator[EventLog]:
    """The log of a training, which the tracker of the run's plan hears, too, in this block."""
    kind = run.plan.tracking
    if kind == "none":
        yield log
        return
    with track(kind, run.path, lambda text: log("warning", text=text)) as tracker:
        for path, value in plan_values(run.plan).items():
            tracker({"event": "plan", "path": path, "value": value})
        log("note", text=f"tracked in {place_of(kind, run.path)}")
        yield log.heard_by(tracker)


def place_of(kind: str, run: Path) -> str:
    """Where `track` writes, and how to look at it, in words."""
    if kind == "tensorboard":
        return f"{run / 'tensorboard'}, shown by `tensorboard --logdir {run}`"
    return _without_password(_mlflow_uri(run))


def _without_password(uri: str) -> str:
    """What may stand where people read it."""
    secret, at, _ = urlsplit(uri).netloc.rpartition("@")
    return uri.replace(secret + at, "", 1)


def _mlflow_uri(run: Path) -> str:
    # the user's, in the environment or by mlflow.set_tracking_uri, which sets it there
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(run / 'mlflow.db').resolve()}"


def _pass_on(event: Event, writer: Writer, step: int) -> None:
    """step: the last one that anybody has heard of; events at the end have none of their own."""
    kind = event["event"]
    if kind == "plan":
        writer.settings({event["path"]: event["value"]})
    elif kind in ("step", "validation", "end"):
        group = {"step": "train", "end": str(event.get("subset", "end"))}.get(kind, "validation")
        writer.scalars(_numbers(event, group), step)


def _numbers(event: Event, group: str) -> dict[str, float]:
    """All numbers of an event by name, those of a list one by one."""
    found: dict[str, float] = {}
    for name, value in event.items():
        if name in ("event", "time", "step"):
            continue
        parts = enumerate(value) if isinstance(value, list | tuple) else [("", value)]
        for index, number in parts:
            if isinstance(number, int | float) and not isinstance(number, bool):
                found[f"{group}/{name}" if index == "" else f"{group}/{name}/{index}"] = float(number)
    return found


class _TensorBoard:
    """Writes into RUN/tensorboard: `tensorboard --logdir RUN` shows it."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "tensorboard"
        self._writer: Any = None
        self._settings: dict[str, Any] = {}
        self._last = 0

    def settings(self, values: Mapping[str, Any]) -> None:
        self._settings |= values

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        self._last = step
        for name, value in values.items():
            self._opened(step).add_scalar(name, value, step)

    def close(self, texts: Mapping[str, str], *, finished: bool) -> None:
        for name, text in texts.items():
            self._opened(self._last).add_text(name, text, self._last)
        self._opened(self._last).close()

    def _opened(self, step: int) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # an extra, and slow to import

            # a resumed training repeats the steps after its last checkpoint: what was written of them is void
            self._writer = SummaryWriter(str(self.folder), purge_step=step if self.folder.exists() else None)
            if self._settings:
                rows = "".join(f"| {path} | {value} |\n" for path, value in self._settings.items())
                self._writer.add_text("plan", f"| setting | value |\n|---|---|\n{rows}", step)
        return self._writer


class _MLflow:
    """Writes to RUN/mlflow.db, or where MLFLOW_TRACKING_URI says; a resumed training goes on with its run.

    The steps after its last checkpoint then stand there twice: MLflow takes nothing back.
    """

    def __init__(self, run: Path) -> None:
        # the client counts its uses for its makers; who wants that can still say so
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        for name in ("mlflow.store.db.utils", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)  # how it makes its tables is of no interest
        self.uri = _mlflow_uri(run)
        self.client = import_module("mlflow.tracking").MlflowClient(self.uri, registry_uri=self.uri)
        self.entities = import_module("mlflow.entities")
        self.notes = run / "mlflow.json"
        known = self._known_run()
        self.goes_on = known is not None
        self.id = known or self._new_run(run)

    def settings(self, values: Mapping[str, Any]) -> None:
        if self.goes_on:
            # MLflow lets no parameter be changed, and a training that is lengthened changes one
            for path, value in values.items():
                self.client.set_tag(self.id, path, str(value)[:500])
            return
        params = [self.entities.Param(path, str(value)[:500]) for path, value in values.items()]
        self.client.log_batch(self.id, params=params)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [self.entities.Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.id, metrics=metrics)

    def close(self, texts: Mapping[str, str], *, finished: bool) -> None:
        for name, text in texts.items():
            self.client.set_tag(self.id, name, text)
        self.client.set_terminated(self.id, "FINISHED" if finished else "KILLED")

    def _known_run(self) -> str | None:
        try:
            notes = json.loads(self.notes.read_text(encoding="utf-8"))
            known = str(notes["run_id"]) if notes["uri"] == _without_password(self.uri) else None
        except (OSError, ValueError, KeyError):
            return None
        if known is not None:
            self.client.update_run(known, status="RUNNING")
        return known

    def _new_run(self, run: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "uvala")
        found = self.client.get_experiment_by_name(name)
        # no file is handed to it; without a place for files it would name the folder that it was started in
        place = (run.resolve() / "mlflow").as_uri() if self.uri.startswith("sqlite:") else None
        experiment = found.experiment_id if found else self.client.create_experiment(name, place)
        made = str(self.client.create_run(experiment, run_name=run.resolve().name).info.run_id)
        write_json(self.notes, {"uri": _without_password(self.uri), "run_id": made})
        return made
