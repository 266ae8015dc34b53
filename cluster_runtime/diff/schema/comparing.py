"""What differs between two schemas: two dictionaries of DDL texts in, changes out. Pure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cluster_runtime.diff.results import Change, SchemaChange

CONTEXT_LINES = 3
NOTHING = "/dev/null"


class ObjectName(NamedTuple):
    """What an object is, and how it is called: qualified, and with the types of its arguments."""

    kind: str
    name: str


Objects = Mapping[ObjectName, str]
"""The DDL text of each object of a database."""


def compare(source: Objects, target: Objects, kinds: Sequence[str]) -> tuple[SchemaChange, ...]:
    """What has to happen to the source so that it is as the target.

    kinds: in which order they are told; what is not among them comes last.
    """
    rank = {kind: place for place, kind in enumerate(kinds)}
    names = sorted(
        source.keys() | target.keys(), key=lambda one: (rank.get(one.kind, len(rank)), one)
    )
    return tuple(
        SchemaChange(_change(before, after), name.kind, name.name, before, after)
        for name in names
        if (before := source.get(name)) != (after := target.get(name))
    )


def unified(changes: Iterable[SchemaChange], source: str, target: str) -> str:
    """The changes as one unified diff. source, target: what the two sides are called."""
    return "".join(line for change in changes for line in _hunks(change, source, target))


def _change(before: str | None, after: str | None) -> Change:
    if before is None:
        return "added"
    return "removed" if after is None else "changed"


def _hunks(change: SchemaChange, source: str, target: str) -> Iterator[str]:
    what = f"{change.kind} {change.name}"
    for line in difflib.unified_diff(
        _lines(change.source),
        _lines(change.target),
        NOTHING if change.source is None else f"{source}: {what}",
        NOTHING if change.target is None else f"{target}: {what}",
        n=CONTEXT_LINES,
        lineterm="",
    ):
        yield line + "\n"


def _lines(text: str | None) -> list[str]:
    return [] if text is None else text.split("\n")
