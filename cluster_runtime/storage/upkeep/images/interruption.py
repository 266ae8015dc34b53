"""How a run of the coalescer ends before it is done.

Apart from `coalescing`, since the process that makes images starts with each run, and would load
the driver for it.
"""

from cluster_runtime.errors import BorealisError


class InterruptedCoalescingError(BorealisError):
    """Coalescing was told to end before it was done: its cluster pauses or closes. What it has
    replayed is kept; the next run goes on from there.
    """
