"""Events: what a long job says while it runs, as one JSON object a line that every reader understands.

The command line draws its progress bar from them, the report its curves, a web page its status.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from uvala.files import storage_errors

__all__ = ["Event", "EventLog", "Listener", "read_events"]

Event = dict[str, Any]
"""{"event": kind, "time": seconds since the job began, ...}. Kinds: reading, data, facts, probe, plan,
note, warning, cache, fold, step, validation, tuned, scoring, end."""

Listener = Callable[[Event], None]


class EventLog:
    """Appends events to a file and hands each to the listeners. Each line is flushed: a cut loses nothing."""

    def __init__(self, path: Path | None, *listeners: Listener, started: float | None = None) -> None:
        self.path = path
        self.listeners = listeners
        self.started = time.monotonic() if started is None else started
        self._torn = False  # whether the last line may be there in part

    def __call__(self, kind: str, **values: Any) -> None:
        """Say one event; `values` must be JSON."""
        event = {"event": kind, "time": round(time.monotonic() - self.started, 3), **values}
        self.append(event)
        for listener in self.listeners:
            listener(event)

    def heard_by(self, listener: Listener) -> "EventLog":
        """The same log, which one more listener hears."""
        return EventLog(self.path, *self.listeners, listener, started=self.started)

    def tell(self, kind: str, **values: Any) -> None:
        """Say an event to the listeners only: what is of no interest afterwards."""
        for listener in self.listeners:
            listener({"event": kind, **values})

    def append(self, event: Event) -> None:
        """Write an event that the listeners have heard already."""
        if self.path is not None:
            line = json.dumps(event, ensure_ascii=False) + "\n"
            begin, self._torn = "\n" * self._torn, True
            with storage_errors(self.path), self.path.open("a", encoding="utf-8") as stream:
                stream.write(begin + line)
            self._torn = False


def read_events(path: Path) -> Iterator[Event]:
    """The events of a log file; a last line that a power cut left incomplete is passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
