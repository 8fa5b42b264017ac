"""What a training says while it runs, whatever the disk does."""

from typing import Any

from uvala.errors import StorageError
from uvala.log import EventLog

__all__ = ["Voice"]


class Voice:
    """Says events to the log and its listeners; to the listeners alone while the log cannot be written.

    silent: says nothing at all, as ranks other than the first.
    """

    def __init__(self, log: EventLog, *, silent: bool = False) -> None:
        self.log = log
        self.silent = silent

    def __call__(self, kind: str, **values: Any) -> None:
        """Say one event; `values` must be JSON."""
        if self.silent:
            return
        try:
            self.log(kind, **values)
        except StorageError:
            # a line of the log is worth less than the training; that the disk is full the checkpoint says
            self.log.tell(kind, **values)
