"""The C library of this process."""

import ctypes
from functools import cache


@cache
def libc() -> ctypes.CDLL:
    """It, with `errno` kept for `ctypes.get_errno`.

    One for all: each `CDLL` has types of its own, which only the garbage collector removes.
    """
    return ctypes.CDLL(None, use_errno=True)
