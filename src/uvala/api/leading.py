"""Several processes: rank 0 reads, plans, scores and reports as if it were alone; the others train along.

Before each training it sends them what that begins from; what they do with it stands in `api.following`.
"""

import json
from contextlib import suppress
from pathlib import Path

from uvala.runs.folder import RunFolder
from uvala.training.distributed import World

__all__ = ["call_followers", "dismiss_followers"]

_FILES = ("plan.toml", "card.json", "split.json", "images.json", "masks.json")


def call_followers(world: World, run: RunFolder, *, resume: bool) -> None:
    """Have the other ranks train along with `run`; on rank 0, right before its own `Training`.

    ConfigError if they cannot share its batch evenly.
    """
    if world.size == 1:
        return
    world.slots(run.plan.patches.batch)
    present = [path for path in (run.path / name for name in _FILES) if path.is_file()]
    files = {path.name: path.read_text(encoding="utf-8") for path in present}
    world.share(json.dumps({"resume": resume, "files": files}).encode())
    world.share(run.start_path.read_bytes() if run.start_path.is_file() else b"")
    world.barrier()  # until they have read the data


def dismiss_followers(world: World, run: Path) -> None:
    """Tell the other ranks that there is nothing more to train."""
    if world.size > 1:
        # one that was stopped while it waited has not heard this, and need not
        with suppress(RuntimeError):
            world.share(json.dumps({"end": str(run.resolve())}).encode())
