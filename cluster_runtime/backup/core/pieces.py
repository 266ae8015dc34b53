"""In which pieces the log is uploaded: soon, and yet in few objects.

Every two seconds what has come is a piece of its own. Like a binary counter, a piece that is no
longer than what comes behind it is written again together with that, up to a size. So each byte is
uploaded a few times (the logarithm of the size), and the number of objects grows with the log and
not with time.
"""

from collections.abc import Iterable, Sequence

from cluster_runtime.backup.core.names import Piece

PIECE_BYTES = 2 << 20
"""The most that is written again."""


def joined(sizes: Sequence[int], new: int, most: int = PIECE_BYTES) -> int:
    """How many of the newest pieces are written again, together with `new` bytes behind them.

    sizes: of the pieces, the newest one last.
    """
    count, total = 0, new
    for size in reversed(sizes):
        if size > total or size + total > most:
            break
        count += 1
        total += size
    return count


def chain(pieces: Iterable[Piece], start: int) -> list[Piece]:
    """Pieces that hold the log from `start` on without a gap, as few as it takes.

    Of pieces that hold the same log, as those do that were joined and not removed yet, the longest
    one counts. Empty where none holds `start`.
    """
    found: list[Piece] = []
    at = start
    rest = sorted(pieces)
    while True:
        usable = [each for each in rest if each.start <= at < each.end]
        if not usable:
            return found
        best = max(usable, key=lambda each: (each.end, -each.last, -each.start))
        found.append(best)
        at = best.end


def covered(pieces: Iterable[Piece]) -> list[Piece]:
    """Those whose log another single piece holds as well: what a kill left while joining."""
    ordered = sorted(set(pieces), key=lambda each: (each.start, -each.end, each.last))
    found, longest = [], 0
    for piece in ordered:
        if piece.end <= longest:
            found.append(piece)
        longest = max(longest, piece.end)
    return found
