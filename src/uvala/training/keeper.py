"""When checkpoints are written, and what happens when the disk does not take them."""

import time
from collections.abc import Callable

from uvala.errors import StorageError
from uvala.runs.folder import RunFolder
from uvala.training.checkpoint import State, newest_state, write_state
from uvala.training.distributed import World
from uvala.training.voice import Voice

__all__ = ["Keeper"]

_SECONDS = 60.0  # at most this much work is lost to a power cut,
_SHARE = 0.01  # unless writing it all takes more of the time than this


class Keeper:
    """Keeps the checkpoints of a run, on rank 0."""

    def __init__(self, run: RunFolder, world: World, say: Voice) -> None:
        self.run = run
        self.world = world
        self.say = say
        self._kept, self._seconds, self._failed = time.monotonic(), 0.0, False

    @property
    def due(self) -> bool:
        """Whether it is time for another."""
        return time.monotonic() - self._kept > max(_SECONDS, self._seconds / _SHARE)

    def newest(self) -> bytes:
        """The checkpoint to go on from, on every rank; empty if there is none yet. RunError."""
        content: bytes | None = None
        if self.world.is_main:
            self.run.clear_leftovers()
            content, warning = newest_state(self.run)
            content = content or b""
            if warning:
                self.say("warning", step=0, text=warning)
        return self.world.share(content)

    def keep(self, pack: Callable[[], State], step: int) -> None:
        """Write what `pack` makes as the checkpoint of `step`.

        A disk that is full or gone is told of once and ends no training: it may have room again.
        """
        began = time.monotonic()
        if self.world.is_main:
            try:
                write_state(self.run, pack())
                self._failed = False
            except StorageError as error:
                if not self._failed:
                    text = f"{error.found}: the training goes on, but would lose what it does from here"
                    self.say("warning", step=step, text=text)
                self._failed = True
        self._kept = time.monotonic()
        self._seconds = self._kept - began
