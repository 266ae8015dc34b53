"""The C library of this process, and memory that it need not keep."""

import ctypes
import gc
from functools import cache


@cache
def libc() -> ctypes.CDLL:
    """The C library, which keeps `errno` for `ctypes.get_errno`.

    One for all: each `CDLL` has types of its own, which only the garbage collector removes.
    """
    return ctypes.CDLL(None, use_errno=True)


def give_back_memory() -> None:
    """Collect what nobody refers to any more, and give free pages back to the system.

    The latter where the C library can (glibc's malloc_trim).
    """
    gc.collect()
    trim = getattr(libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)
