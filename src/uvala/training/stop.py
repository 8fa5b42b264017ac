"""A clean stop: the first Ctrl-C or SIGTERM asks for one, the second does not ask."""

import signal
import threading
import time
from types import FrameType, TracebackType

__all__ = ["StopSignal"]


_ECHO_SECONDS = 5.0


class StopSignal:
    """In its `with` block the first SIGINT or SIGTERM sets `asked`; the second acts as it always does.

    launched: by torchrun or the like, which passes on a signal that the terminal has sent to all processes
    already: a second one soon after the first is its echo.
    """

    def __init__(self, *, launched: bool = False) -> None:
        self.asked = False
        self._until = 0.0
        self._launched = launched
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignal":
        # only the main thread may set handlers; elsewhere (a server, a notebook's worker) stops come by
        # `asked`
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            self._until = time.monotonic() + (_ECHO_SECONDS if self._launched else 0.0)
            if not self._launched:
                self._restore()
        elif time.monotonic() > self._until:
            self._restore()
            signal.raise_signal(number)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it came from signal.signal
        self._before.clear()
