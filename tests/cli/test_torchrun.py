"""`torchrun -m uvala train`: the processes as users start them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drawn import write_discs
from uvala.log import read_events

pytestmark = [
    pytest.mark.slow,  # three processes that import torch, three times
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks in /proc"),
]

STEPS = ["--set", "length.steps=60", "--set", "patches.size=32", "--set", "validation.rounds=6"]


def torchrun(*arguments) -> subprocess.Popen:
    """`uvala train ARGUMENTS` by two processes on one machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*launcher, "-m", "uvala", "train", *map(str, arguments), "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def ranks_of(launcher: subprocess.Popen) -> dict[int, int]:
    """The process of each rank."""
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split()
    environments = {int(child): Path(f"/proc/{child}/environ").read_text() for child in children}
    return {
        int(entry.removeprefix("RANK=")): child
        for child, environment in environments.items()
        for entry in environment.split("\0")
        if entry.startswith("RANK=")
    }


def read_until(process: subprocess.Popen, text: str) -> str:
    """What the process says, up to a line with `text`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            break
    return "".join(lines)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp("data") / "discs", count=8)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_job_and_a_resume_finishes_it(data, tmp_path, rank):
    run = tmp_path / "run"
    with torchrun(data, "--model", "pocket_unet", *STEPS, "--out", run) as job:
        read_until(job, "validation Dice")
        os.kill(ranks_of(job)[rank], signal.SIGKILL)
        # rank 0 says what to do, if torchrun does not end it first
        job.communicate(timeout=60)
    assert job.returncode != 0

    with torchrun("--resume", run) as job:
        said, _ = job.communicate(timeout=120)
    assert job.returncode == 0, said
    assert said.count("report   ") == 1  # one of the two speaks
    events = list(read_events(run / "log.jsonl"))
    assert [event["step"] for event in events if event["event"] == "validation"] == [10, 20, 30, 40, 50, 60]


def test_an_interrupt_of_all_processes_stops_cleanly(data, tmp_path):
    """As Ctrl-C does: the terminal tells all of them, and torchrun its ranks once more."""
    run = tmp_path / "run"
    with torchrun(data, "--model", "pocket_unet", *STEPS, "--out", run) as job:
        read_until(job, "validation Dice")
        for process in [*ranks_of(job).values(), job.pid]:
            os.kill(process, signal.SIGINT)
        job.communicate(timeout=120)
    assert (run / "report.html").is_file()
    assert next(e for e in read_events(run / "log.jsonl") if e["event"] == "end")["finished"] is False
