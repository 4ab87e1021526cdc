"""Settings of the C library's memory allocator."""

import ctypes

# Numbers of glibc's `mallopt`.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
MMAP_THRESHOLD_BYTES = TRIM_THRESHOLD_BYTES = 128 * 1024
MAX_ARENAS = 4


def return_freed_memory() -> bool:
    """Make the C library return freed memory to the system; return False if it is not glibc.

    By default, glibc raises its thresholds with each large block that is freed, and has up to eight arenas for each
    core: a process would keep the memory of the largest bodies that it has ever handled at the same time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    values = (
        (_M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES),
        (_M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES),
        (_M_ARENA_MAX, MAX_ARENAS),
    )
    return all(mallopt(name, value) for name, value in values)
