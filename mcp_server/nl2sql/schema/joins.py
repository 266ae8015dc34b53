"""Which tables to join, and on what: the smallest tree of foreign keys that holds them all."""

from collections import deque
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TypeAlias

from mcp_server.nl2sql.schema.model import Column, ForeignKey, Profile, Table

_Ways: TypeAlias = dict[Table, tuple[tuple[Table, ForeignKey] | None, int]]
"""By table: the step that leads there, and how many steps that are."""
NO_WAY = 99
"""The distance of tables that no keys join."""


class JoinGraph:
    """Tables and the keys between them; shortest paths are remembered. without: keys left out."""

    def __init__(self, profile: Profile, without: Collection[ForeignKey] = ()) -> None:
        self.tables = profile.tables
        self._edges: dict[Table, list[tuple[Table, ForeignKey]]] = {}
        keys = (key for key in profile.foreign_keys if key not in without)
        for key in sorted(keys, key=_preference):
            self._edges.setdefault(key.column.table, []).append((key.target.table, key))
            self._edges.setdefault(key.target.table, []).append((key.column.table, key))
        self._ways_from: dict[Table, _Ways] = {}

    def path(
        self, start: Table, end: Table, without: Table | None = None
    ) -> list[ForeignKey] | None:
        """The keys along the shortest way between two tables; None where there is none.

        without: a table that the way may not lead through.
        """
        ways = self._from(start) if without is None else self._ways(start, without)
        if end not in ways:
            return None
        keys = []
        while (step := ways[end][0]) is not None:
            end, key = step
            keys.append(key)
        return keys[::-1]

    def distance(self, start: Table, end: Table) -> int:
        """How many joins lie between two tables; a large number where none leads there."""
        return self._from(start).get(end, (None, NO_WAY))[1]

    def single(self, start: Table, end: Table) -> bool:
        """Whether each row of the first table meets at most one row of the other."""
        here = start
        for key in self.path(start, end) or ():
            if key.column.table is not here:
                return False
            here = key.target.table
        return here is end

    def keys_between(self, one: Table, other: Table) -> list[ForeignKey]:
        """Every key that joins two tables directly."""
        return [key for table, key in self._edges.get(one, []) if table is other]

    def keys_of(self, table: Table) -> list[ForeignKey]:
        """The keys by which a table refers to others, and to rows of its own."""
        keys = (key for _, key in self._edges.get(table, []) if key.column.table is table)
        return list(dict.fromkeys(keys))

    def keys_to(self, table: Table) -> list[ForeignKey]:
        """The keys by which other tables refer to a table."""
        keys = (key for _, key in self._edges.get(table, []) if key.column.table is not table)
        return list(dict.fromkeys(keys))

    @cached_property
    def pairing(self) -> list[Table]:
        """The tables whose two keys put two rows of one table together."""
        found = []
        for table in self.tables:
            keys = self.keys_of(table)
            if len(keys) == 2 and keys[0].target.table is keys[1].target.table is not table:
                found.append(table)
        return found

    def referred(self, column: Column) -> list[Table]:
        """The tables that a column refers to."""
        edges = self._edges.get(column.table, [])
        return [table for table, key in edges if key.column is column]

    def targets(self, column: Column) -> set[Column]:
        """The columns of other tables that a column refers to, which hold the same."""
        edges = self._edges.get(column.table, [])
        keys = (key for table, key in edges if table is not column.table)
        return {key.target for key in keys if key.column is column}

    def tree(
        self, tables: Sequence[Table], through: Sequence[Table] = ()
    ) -> list[ForeignKey] | None:
        """Keys that join all the tables, beginning at the first; None where they do not join.

        through: tables to go on from, where other ways are as short.
        """
        joined: list[Table] = list(tables[:1])
        keys: list[ForeignKey] = []
        waiting = [table for table in dict.fromkeys(tables) if table not in joined]
        while waiting:
            options = [
                (len(path), position, start not in through, path)
                for position, table in enumerate(waiting)
                for start in joined
                if (path := self.path(start, table)) is not None
            ]
            if not options:
                return None
            _, position, _, path = min(options, key=lambda option: option[:3])
            waiting.pop(position)
            for key in path:
                if key not in keys:
                    keys.append(key)
                for table in (key.column.table, key.target.table):
                    if table not in joined:
                        joined.append(table)
            waiting = [table for table in waiting if table not in joined]
        return keys

    def _from(self, start: Table) -> _Ways:
        if start not in self._ways_from:
            self._ways_from[start] = self._ways(start)
        return self._ways_from[start]

    def _ways(self, start: Table, without: Table | None = None) -> _Ways:
        """The last step of the shortest way from a table to each that it is joined with."""
        ways: _Ways = {start: (None, 0)}
        queue = deque([start])
        while queue:
            table = queue.popleft()
            if table.view and table is not start:
                continue  # a view shows what tables hold; it joins none of them
            for other, key in self._edges.get(table, []):
                if other not in ways and other is not without:
                    ways[other] = (table, key), ways[table][1] + 1
                    queue.append(other)
        return ways


def _preference(key: ForeignKey) -> tuple[bool, bool, int]:
    """Declared keys first; of two between the same tables, the one that is not named for its own
    table (`follow.follow_id` is whom the row speaks of, `follow.person_id` whose it is).
    """
    own = set(key.column.table.words) & set(key.column.words[:-1])
    return key.inferred, bool(own), key.column.table.columns.index(key.column)
