"""Where the sequences of two databases stand.

PostgreSQL logs a sequence 32 values ahead, so that a copy that was made by the log begins there:
it stands at the last value that was logged, and the other at one that was given out. Neither has
then given out a value that the log does not have, so that this is no difference.

Source: PostgreSQL, src/backend/commands/sequence.c (SEQ_LOG_VALS).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import errors, sql

from cluster_runtime.diff.results import SequenceDiff
from cluster_runtime.diff.session import Reading, Sides

POSITIONS = r"""
select pg_catalog.format('%I.%I', schemaname, sequencename), last_value,
       schemaname, sequencename, increment_by
  from pg_catalog.pg_sequences
 where schemaname !~ '^pg_'
"""
STANDS = sql.SQL("select last_value, log_cnt from only {}")
REFUSALS = (errors.InsufficientPrivilege, errors.LockNotAvailable, errors.UndefinedTable)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a sequence stands. ahead: the values after it that the log has already."""

    last: int
    ahead: int
    increment: int

    def begins_at_the_log_of(self, other: "Position") -> bool:
        """Whether it stands where a copy by the log of the other begins, and has not moved."""
        return self.ahead == 0 and self.last == other.last + other.ahead * other.increment


def compare_sequences(sides: Sides) -> list[SequenceDiff]:
    """The sequences that stand elsewhere. Raises psycopg.Error."""
    source, target = sides.both(_found)
    differ = [
        name
        for name in sorted(source.keys() | target.keys())
        if source.get(name, _NONE)[0] != target.get(name, _NONE)[0]
    ]
    here, there = sides.each(
        lambda reading: _positions(reading, [source.get(name, _NONE) for name in differ]),
        lambda reading: _positions(reading, [target.get(name, _NONE) for name in differ]),
    )
    return [
        SequenceDiff(name, source.get(name, _NONE)[0], target.get(name, _NONE)[0])
        for name, ours, theirs in zip(differ, here, there, strict=True)
        if not _is_one(ours, theirs)
    ]


def _is_one(ours: Position | None, theirs: Position | None) -> bool:
    if ours is None or theirs is None:
        return False
    return ours.begins_at_the_log_of(theirs) or theirs.begins_at_the_log_of(ours)


_Found = tuple[int | None, str, str, int]
_NONE: _Found = (None, "", "", 0)


def _found(reading: Reading) -> dict[str, _Found]:
    return {name: (last, *rest) for name, last, *rest in reading.conn.execute(POSITIONS)}


def _positions(reading: Reading, found: Sequence[_Found]) -> list[Position | None]:
    return [_position(reading, *each) for each in found]


def _position(
    reading: Reading, last: int | None, schema: str, name: str, increment: int
) -> Position | None:
    """None of one that was not used yet, or that this role may not read."""
    if last is None:
        return None
    try:
        with reading.conn.transaction():
            stands = STANDS.format(sql.Identifier(schema, name))
            ((last, ahead),) = reading.conn.execute(stands).fetchall()
    except REFUSALS:
        return None
    return Position(last, ahead, increment)
