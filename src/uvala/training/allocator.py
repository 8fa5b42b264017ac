"""What a training step frees is kept for the next one, not given back to the system and asked for again.

glibc takes large blocks from the system, which fills their pages with zeros first, and gives them back as
soon as they are free: here, the activations of every step. Blocks that are kept cost the process no more than
that it stays about as large as it was at its largest (benchmarks/train_step.py measures both).
"""

import ctypes
import os
import platform

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_LARGEST = 1 << 30  # bytes; whatever is larger, such as the probabilities of a huge image, is given back
_LARGEST_ONCE = 32 << 20  # what older versions of glibc take at most
_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, from now on; whether its allocator can do so.

    To be called before the first large tensor; calling it again changes nothing. False, and nothing is
    changed, on other systems than Linux with glibc, and where the user has chosen or set up the allocator by
    environment variables.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in _SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    taken = mallopt(_MMAP_THRESHOLD, _LARGEST) or mallopt(_MMAP_THRESHOLD, _LARGEST_ONCE)
    return bool(taken and mallopt(_TRIM_THRESHOLD, -1))
