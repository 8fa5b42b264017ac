"""uvala in a contest: the command that a user would type, and what its run predicts."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from contest_data import Case, Contest

__all__ = ["trained"]


def trained(contest: Contest, folder: Path, *options: str) -> tuple[Callable[[Case], tuple], dict]:
    """Run `uvala train` with these options into `folder`; (its prediction of a case, steps and seconds)."""
    from uvala import load_run

    shutil.rmtree(folder, ignore_errors=True)  # of a run that came to no result
    command = [sys.executable, "-m", "uvala", "train", str(contest.root), "--split", str(contest.split)]
    began = time.perf_counter()
    subprocess.run([*command, "--out", str(folder), *options], check=True)
    seconds = time.perf_counter() - began
    run = load_run(folder)

    def predict(case: Case) -> tuple:
        prediction = run.predict(np.moveaxis(case.image.astype(np.uint8), 0, -1))
        return prediction.probabilities, prediction.objects if contest.task != "street" else None

    return predict, {"steps": run.card.training.steps, "seconds": round(seconds, 1)}
