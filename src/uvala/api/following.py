"""What ranks other than the first do: they train along with it.

What a training begins from comes from rank 0 (`api.leading`) and goes into a temporary run folder, so that
only rank 0's machine need have the run. The data each rank reads by itself.
"""

import json
import time
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from uvala.api.resuming import dataset_of
from uvala.data.dataset import Dataset
from uvala.files import write_bytes, write_text
from uvala.log import EventLog
from uvala.plan.budget import Clock
from uvala.runs.folder import RunFolder, pick_device
from uvala.training.distributed import World
from uvala.training.job import Job
from uvala.training.loop import Training
from uvala.training.stop import StopSignal

__all__ = ["follow"]


def follow(world: World, data: Path | None, device: str | None) -> tuple[RunFolder, str]:
    """Train along with rank 0 until it has nothing more to train; its run, and this rank's device.

    data: the data set, if it lies elsewhere than the run says. The run is where it is on rank 0's machine.
    """
    dataset: Dataset | None = None
    own = torch.device("cpu")
    with TemporaryDirectory(prefix="uvala-rank-") as folder, StopSignal(launched=True) as stop:
        for number in count():
            order: dict[str, Any] = json.loads(world.share(None))
            if "end" in order:
                return RunFolder(Path(order["end"])), str(own)
            run = _copied(order["files"], world.share(None), Path(folder) / str(number))
            own = world.own_device(pick_device(device or run.plan.device))
            dataset = dataset or dataset_of(run, data)
            world.barrier()
            job = Job(
                run=run,
                dataset=dataset,
                training=dataset.subset(run.split.train),
                validation=dataset.subset(run.split.val),
                plan=run.plan,
                network=run.card.network,
                device=own,
                clock=Clock(run.plan.length.budget, started=time.monotonic()),  # it is rank 0's that counts
                log=EventLog(None),
                world=world,
                start=run.start,
            )
            Training(job, resume=order["resume"]).run(lambda: stop.asked)
    raise AssertionError("rank 0 ends the loop")


def _copied(files: dict[str, str], start: bytes, path: Path) -> RunFolder:
    """A run folder with what a training begins from."""
    run = RunFolder(path)
    run.start_path.parent.mkdir(parents=True)
    for name, text in files.items():
        write_text(path / name, text)
    if start:
        write_bytes(run.start_path, start)
    return run
