"""Memory that this process need not keep."""

import gc

from cluster_runtime.engine.sandbox.libc import libc


def give_back_memory() -> None:
    """Collect what nobody refers to any more, and give free pages back to the system.

    The latter where the C library can (glibc's malloc_trim).
    """
    gc.collect()
    trim = getattr(libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)
