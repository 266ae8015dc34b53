"""Where a volume is cut to make another one, and what the new one says of its log.

The new volume shares the log below the cut. Whatever else is found in the files that it shares,
then or later, is void for it: its own epoch is higher than any that writes to them.

A cut at an LSN may fall inside a batch. Then the log is shared up to that batch, and what of it
lies below the cut is written again, as the first batch of the new epoch.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cluster_runtime.storage.core.batch import Batch
from cluster_runtime.storage.core.segment import Cut, History
from cluster_runtime.storage.core.types import Epoch, Lsn


@dataclass(frozen=True, slots=True)
class Place:
    """Where the log is cut: `end` is where the new volume ends.

    shared: the end of the last batch that is shared; what follows up to `end` is written again.
    position: behind that batch, in the log stream.
    """

    shared: Lsn
    position: int
    end: Lsn


def place_of_cut(start: tuple[int, Lsn], batches: Iterable[tuple[int, Batch]], end: Lsn) -> Place:
    """Where a cut at an LSN falls among batches.

    start: a position, and the LSN at which the log from there on begins. batches: with the
    positions behind them, in order. Raises LookupError where they end before that LSN.
    """
    position, shared = start
    for behind, batch in batches:
        if batch.end > end:
            return Place(shared, position, end)
        position, shared = behind, batch.end
        if shared == end:
            break
    if shared != end:
        raise LookupError(f"the log ends at {shared:#x}, before {end:#x}")
    return Place(shared, position, end)


def history_of_cut(history: History, promised: Iterable[Epoch], place: Place) -> History:
    """The history of the new volume: its last cut has an epoch that nobody has promised yet.

    history: the old volume's. promised: by its segments.
    """
    below = tuple(cut for cut in history if cut.lsn <= place.shared)
    epoch = Epoch(max((*promised, *(cut.epoch for cut in history)), default=0) + 1)
    return (*below, Cut(epoch, place.shared))
