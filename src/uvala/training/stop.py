"""A clean stop: the first Ctrl-C or SIGTERM asks for one, the second does not ask."""

import signal
import threading
from types import FrameType, TracebackType

__all__ = ["StopSignal"]


class StopSignal:
    """In its `with` block the first SIGINT or SIGTERM sets `asked`; the second acts as it always does."""

    def __init__(self) -> None:
        self.asked = False
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
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it came from signal.signal
        self._before.clear()
