"""Trainings that are killed: SIGKILL, which nothing can catch, at a moment of one's choice."""

import math
import multiprocessing
import os
import pkgutil
import signal
from importlib import import_module
from pathlib import Path

import jobs
import uvala.models


def killed(data: Path, out: Path, at: str, call: int, **options) -> bool:
    """Train in another process that is killed when it calls the function `at` for the n-th time.

    at: a dotted path such as "os.replace". False if the training came to its end before. A checkpoint is
    written after every step.
    """
    # a server that forks: it has the modules already, and no threads
    context = multiprocessing.get_context("forkserver")
    families = [module.name for module in pkgutil.iter_modules(uvala.models.__path__, "uvala.models.")]
    context.set_forkserver_preload(["uvala.training.loop", *families])
    process = context.Process(target=_train, args=(data, out, at, call, options))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _train(data: Path, out: Path, at: str, call: int, options: dict) -> None:
    keeper = import_module("uvala.training.keeper")
    keeper._SECONDS, keeper._SHARE = 0.0, math.inf
    place, _, name = at.rpartition(".")
    try:
        owner = import_module(place)
    except ModuleNotFoundError:
        module, _, kind = place.rpartition(".")
        owner = getattr(import_module(module), kind)
    function, calls = getattr(owner, name), 0

    def deadly(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    setattr(owner, name, deadly)
    jobs.train(data, out, **options)
