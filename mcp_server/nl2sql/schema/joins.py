"""Which tables to join, and on what: the smallest tree of foreign keys that holds them all."""

from collections import deque
from collections.abc import Sequence
from functools import cached_property

from mcp_server.nl2sql.schema.model import Column, ForeignKey, Profile, Table


class JoinGraph:
    """Tables and the keys between them; shortest paths are remembered."""

    def __init__(self, profile: Profile) -> None:
        self.tables = profile.tables
        self._edges: dict[Table, list[tuple[Table, ForeignKey]]] = {}
        for key in sorted(profile.foreign_keys, key=_preference):
            self._edges.setdefault(key.column.table, []).append((key.target.table, key))
            self._edges.setdefault(key.target.table, []).append((key.column.table, key))
        self._paths: dict[tuple[Table, Table], list[ForeignKey] | None] = {}

    def path(self, start: Table, end: Table) -> list[ForeignKey] | None:
        """The keys along the shortest way between two tables; None where there is none."""
        if (start, end) not in self._paths:
            self._paths[start, end] = self._search(start, end)
        return self._paths[start, end]

    def distance(self, start: Table, end: Table) -> int:
        """How many joins lie between two tables; a large number where none leads there."""
        path = self.path(start, end)
        return 99 if path is None else len(path)

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

    def _search(self, start: Table, end: Table) -> list[ForeignKey] | None:
        ways: dict[Table, list[ForeignKey]] = {start: []}
        queue = deque([start])
        while queue:
            table = queue.popleft()
            if table is end:
                return ways[table]
            if table.view and table is not start:
                continue  # a view shows what tables hold; it joins none of them
            for other, key in self._edges.get(table, []):
                if other not in ways:
                    ways[other] = [*ways[table], key]
                    queue.append(other)
        return None


def _preference(key: ForeignKey) -> tuple[bool, bool, int]:
    """Declared keys first; of two between the same tables, the one that is not named for its own
    table (`follow.follow_id` is whom the row speaks of, `follow.person_id` whose it is).
    """
    own = set(key.column.table.words) & set(key.column.words[:-1])
    return key.inferred, bool(own), key.column.table.columns.index(key.column)
