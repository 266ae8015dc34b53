"""What differs between two ordered streams of rows, each known by a mark. Pure.

Both streams are walked once, side by side, so that however much differs no more than two marks are
held.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cluster_runtime.diff.results import Change


class Place(NamedTuple):
    """Where a row is, for as long as a snapshot lasts: oid of its table, and ctid there."""

    relation: int
    ctid: str


class Mark(NamedTuple):
    """A row. identity: says which row it is; digest: what is in it; equal for equal rows alone."""

    identity: str
    digest: str
    place: Place


class Difference(NamedTuple):
    """A row that is not the same on both sides, and where it is."""

    change: Change
    source: Place | None
    target: Place | None


def differences(source: Iterable[Mark], target: Iterable[Mark]) -> Iterator[Difference]:
    """The rows that differ, in the order of the streams, which is that of (identity, digest).

    Where an identity comes several times, as in a table without a key, equal rows pair up, and the
    rest is what one side has more of.
    """
    ours, theirs = iter(source), iter(target)
    left, right = next(ours, None), next(theirs, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left.identity < right.identity):
            assert left is not None
            yield Difference("removed", left.place, None)
            left = next(ours, None)
        elif left is None or right.identity < left.identity:
            yield Difference("added", None, right.place)
            right = next(theirs, None)
        else:
            if left.digest != right.digest:
                yield Difference("changed", left.place, right.place)
            left, right = next(ours, None), next(theirs, None)
