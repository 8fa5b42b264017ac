import os
import platform
import subprocess
import sys

import pytest

from uvala.training.allocator import keep_freed_memory

# 200 MB, in blocks as large as the activations of a training step
SCRIPT = """
import sys
import numpy as np
from uvala.training.allocator import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

taken = keep_freed_memory() if sys.argv[1] == "keep" else False
before = resident()
blocks = [np.ones(5_000_000) for _ in range(5)]
del blocks
print(taken, resident() - before > 150)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other systems have another allocator")


def answer(wish: str, **environment: str) -> str:
    """Whether the wish was taken, and whether freed memory stayed with the process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", SCRIPT, wish]
    done = subprocess.run(command, capture_output=True, text=True, env={**kept, **environment}, check=True)
    return done.stdout.strip()


@glibc
@pytest.mark.parametrize(("wish", "expected"), [("keep", "True True"), ("leave", "False False")])
def test_freed_memory_stays_with_the_process_only_if_asked_to(wish, expected):
    assert answer(wish) == expected


@glibc
def test_an_allocator_set_up_by_the_user_is_left_alone():
    assert answer("keep", MALLOC_TRIM_THRESHOLD_="131072").startswith("False")


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not keep_freed_memory()
