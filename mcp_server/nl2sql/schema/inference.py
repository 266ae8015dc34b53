"""Joins that nobody declared, from names and values.

A column refers to a table where it is named as that table's key and holds nothing that the key
does not. Where tables hang together in no way, columns of one name join them, if one of the two
tells rows apart; that two tables have a `length`, or both an `amount`, joins nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile, Table
from mcp_server.nl2sql.words.lexicon import PEOPLE
from mcp_server.nl2sql.words.tokens import lemma

GENERIC = frozenset(["id", "name", "code", "type", "date", "year", "status", "description"])
KEY_WORDS = frozenset(["id", "code", "cd", "no", "nbr", "number", "key", "sku", "isbn", "ssn"])
"""Last words of names of numbers that tell rows apart."""
SHARED_VALUES_MIN = 0.5
COMMON_PREFIX_MIN = 0.8
"""A word that so many names begin with says nothing."""
Words = tuple[str, ...]


def inferred(found: Profile) -> list[ForeignKey]:
    """Keys by name; and where tables hang together in no way, columns of one name in both."""
    guesses = [*_by_key_name(found), *_of_itself(found)]
    groups = _Groups(found.tables, [*found.foreign_keys, *guesses])
    named: dict[str, list[Column]] = defaultdict(list)
    for column in found.columns:
        if column.name not in GENERIC and column.kind in (Kind.NUMBER, Kind.TEXT):
            named[column.name].append(column)
    for columns in named.values():
        for number, one in enumerate(columns):
            for other in columns[:number]:
                key = _same_column(other, one) if groups.apart(one.table, other.table) else None
                if key is not None:
                    guesses += _star(key, columns)
                    groups.join(one.table, other.table)
    guesses += _beside([*found.foreign_keys, *guesses])
    return list(dict.fromkeys(guesses))


def _of_itself(found: Profile) -> Iterator[ForeignKey]:
    """A column of a table that is named as its key with a role before it, and holds keys of the
    same table: the `boss_code` of workers, who have a `worker_code`.
    """
    names = {table.words[-1:] for table in found.tables}
    declared = {key.column for key in found.foreign_keys}
    for table in found.tables:
        key = identifier_of(table)
        if key is None or table.view or not key.words or key in declared:
            continue
        for column in table.columns:
            role = column.words[:-1]
            alike = (
                column is not key
                and column.words[-1:] == key.words[-1:]
                and column.kind is key.kind
            )
            of_other = column in declared or column.primary or role[-1:] in names
            if (
                not alike
                or of_other
                or not role
                or not OF_ITS_KIND & {lemma(word) for word in role}
            ):
                continue
            if _holds(key, column):
                yield ForeignKey(column, key, inferred=True)


OF_ITS_KIND = PEOPLE | {
    "boss", "superior", "lead", "leader", "head", "chief", "foreman", "captain", "mentor", "parent",
    "child", "predecessor", "successor", "previous", "next", "original", "referrer", "sponsor",
    "spouse", "partner", "buddy", "deputy", "trainer", "replacement",
}  # fmt: skip
"""Roles of one row towards another of the same table."""


def _beside(keys: Sequence[ForeignKey]) -> Iterator[ForeignKey]:
    """The other side of a table of two columns that puts rows of one table together: what its one
    column refers to, the other does, if it holds only such texts.
    """
    for key in keys:
        table = key.column.table
        if len(table.columns) != 2 or table.view or key.target.table is table:
            continue
        other = next(column for column in table.columns if column is not key.column)
        referring = any(each.column is other for each in keys)
        held = bool(other.values) and len(other.values) >= BESIDE_MIN
        if not referring and held and _may_refer(other, key.target):
            yield ForeignKey(other, key.target, inferred=True)


BESIDE_MIN = 3
"""Fewer texts may be of another kind that happens to be called so."""


def _star(key: ForeignKey, named: Sequence[Column]) -> list[ForeignKey]:
    """A key, and what else of its name refers to the same: no way leads from one to the other
    of two tables by a third where both have it.
    """
    free = [c for c in named if not (c is key.target or c.foreign or c.primary or c.table.view)]
    others = [key, *(each for c in free if (each := _same_column(c, key.target)) is not None)]
    return [each for each in others if each.target is key.target]


def identifier_of(table: Table) -> Column | None:
    """What identifies a row: the key, or where none is declared a column that looks so.

    That is one named for the table (`pid` of publications), or else the first. A table of nothing
    but numbers that identify joins others.
    """
    if table.key is not None or any(column.primary for column in table.columns):
        return table.key
    named = [column for column in table.columns if _named_as_key(column)]
    if len(named) == len(table.columns) > 1:
        return None
    able = [column for column in named if tells_apart(column)]
    own = [column for column in able if _named_for(column, table)]
    return next(iter(own or (column for column in able if column is table.columns[0])), None)


def _named_as_key(column: Column) -> bool:
    return column.name.lower().endswith("id") or column.words[-1:][0] in KEY_WORDS


def _named_for(column: Column, table: Table) -> bool:
    """Whether a column is called `id`, or that behind the table's name or its first letter."""
    first = table.words[-1:]
    initial = {(word[:1] + "id",) for word in first}
    return column.words in {("id",), (*first, "id"), (*table.words, "id"), *initial}


def tells_apart(column: Column) -> bool:
    """Whether no two rows have the same value, as far as is known."""
    return column.unique or column.table.key is column or column.distinct >= column.table.rows > 1


def _by_key_name(found: Profile) -> Iterator[ForeignKey]:
    """A column named as another table's key, with values of it."""
    elsewhere = {
        key.column for key in found.foreign_keys if key.target.table is not key.column.table
    }
    prefix = _prefix(found)
    names: dict[Words, list[tuple[Column, int]]] = defaultdict(list)
    tables = {_less(table.words, prefix): table for table in found.tables}
    for table in found.tables:
        key = identifier_of(table)
        if key is None or table.view:
            continue
        for words, score in _names_of(key, prefix).items():
            if tables.get(words, table) is table:  # the fees of each campus have no campuses
                names[words].append((key, score))
    for column in found.columns:
        if column in elsewhere:
            continue
        words = _less(column.words, prefix)
        own = identifier_of(column.table) is column
        if own:  # it may be another table's as well: a manager is an employee
            words = words if words[:-1] != _less(column.table.words, prefix) else ()
        meant = [
            (score * 10 - start, key)
            for start in range(len(words))
            for key, score in names.get(words[start:], ())
            if (start == 0 or len(words) - start > 1)
            and _may_refer(column, key)
            and (not own or _less(key.table.words, prefix) in (words[start:], words[start:-1]))
        ]
        meant = meant or [(0, key) for key in _written_together(column, names)]
        best = max((score for score, _ in meant), default=0)
        for score, key in meant:
            if score == best:
                yield ForeignKey(column, key, inferred=True)


def _written_together(
    column: Column, names: dict[Words, list[tuple[Column, int]]]
) -> Iterator[Column]:
    """Keys with the texts of a column that ends with the name of their table: `sourceairport`."""
    for words, keys in names.items():
        for key, _ in keys:
            told = len(words) == 1 and len(words[0]) >= TOGETHER_MIN and column.values
            if told and words == key.table.words[-1:] and column.words[-1].endswith(words[0]):
                yield from [key] if key.values and _may_refer(column, key) else []


TOGETHER_MIN = 5
"""A shorter name ends too many others."""


def _names_of(key: Column, prefix: str) -> dict[Words, int]:
    """What a column that refers to a key is called; more for what fits nothing else."""
    table, own = _less(key.table.words, prefix), _less(key.words, prefix)
    found = {table[-1:]: 1, table: 1, (*table[-1:], "id"): 2, (*table[-1:], *own[-1:]): 2}
    found |= {(*table, "id"): 3, (*table, *own[-1:]): 3}
    if own and own[0] not in GENERIC:
        found[own] = 4
    return {words: score for words, score in found.items() if words}


def _may_refer(column: Column, key: Column) -> bool:
    """Whether a column holds only what a key does, as far as is known."""
    if key.table is column.table or key.kind is not column.kind:
        return False
    return _holds(key, column)


def _holds(key: Column, column: Column) -> bool:
    """Whether the values of a column are among those of a key."""
    if column.values and key.values:
        return set(column.values) <= set(key.values)
    bounds = column.low, column.high, key.low, key.high
    if None in bounds or key.distinct >= SAMPLED:
        return True
    return bool(key.low <= column.low and column.high <= key.high)  # type: ignore[operator]


SAMPLED = 1_000
"""Of a key of more values a sample may have seen but some."""


def _prefix(found: Profile) -> str:
    """The word that nearly all names of columns begin with; empty where there is none."""
    columns = [column.words for column in found.columns if len(column.words) > 1]
    first = Counter(words[0] for words in columns).most_common(1)
    return first[0][0] if first and first[0][1] >= COMMON_PREFIX_MIN * len(columns) > 5 else ""


def _less(words: Words, prefix: str) -> Words:
    return words[1:] if prefix and len(words) > 1 and words[0] == prefix else words


def _same_column(one: Column, other: Column) -> ForeignKey | None:
    """A join on columns of one name, if the values of one of them tell its rows apart."""
    if one.kind is not other.kind:
        return None
    for key, column in ((one, other), (other, one)):
        if not tells_apart(key) or (one.kind is Kind.NUMBER and not _may_refer(column, key)):
            continue
        if key.kind is Kind.NUMBER and key.words[-1:] and key.words[-1] not in KEY_WORDS:
            continue
        if key.kind is Kind.NUMBER or _share_values(one, other):
            return ForeignKey(column, key, inferred=True)
    return None


def _share_values(one: Column, other: Column) -> bool:
    fewer = min(len(one.values), len(other.values))
    return bool(fewer) and len(set(one.values) & set(other.values)) >= SHARED_VALUES_MIN * fewer


class _Groups:
    """Which tables hang together."""

    def __init__(self, tables: Sequence[Table], keys: Sequence[ForeignKey]) -> None:
        self._parent = {table: table for table in tables}
        for key in keys:
            self.join(key.column.table, key.target.table)

    def apart(self, one: Table, other: Table) -> bool:
        """Whether no keys lead from one to the other."""
        return self._root(one) is not self._root(other)

    def join(self, one: Table, other: Table) -> None:
        """Note that a key joins them."""
        self._parent[self._root(one)] = self._root(other)

    def _root(self, table: Table) -> Table:
        while self._parent[table] is not table:
            self._parent[table] = table = self._parent[self._parent[table]]
        return table
