"""Arithmetic that gives the same bits each time, where somebody asks for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from uvala.errors import ConfigError

__all__ = ["same_bits"]


@contextmanager
def same_bits(wanted: bool) -> Iterator[None]:
    """Only operations whose result is the same each time, in this block; afterwards all is as it was.

    On one machine, with one number of threads. ConfigError if a network needs an operation that has no such
    form. Without `wanted` nothing changes: on a CPU the result is the same each time anyway.
    """
    if not wanted:
        yield
        return
    # cuBLAS reads it when it is first used; with its own buffers it may take another order of sums each time
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn, fill = torch.backends.cudnn, torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    before = torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    cudnn.deterministic, cudnn.benchmark = True, False
    # new memory need not be filled for that: nothing here reads what it did not write
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    except RuntimeError as error:
        if "does not have a deterministic implementation" not in str(error):
            raise
        operation = str(error).partition(" does not have")[0]
        raise ConfigError(
            found=f"execution.deterministic with {operation}, whose result can differ each time",
            expected="operations that give the same bits each time",
            fix="set execution.deterministic=false, or choose another network or loss",
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0])
        cudnn.deterministic, cudnn.benchmark = before[1:]
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
