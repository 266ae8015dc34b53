"""What the rows of a check mean: findings, each with the SQL that mends it. No I/O.

Names and texts come from a database that anybody may have shaped: names are quoted in the SQL, and
texts that may hold a password are not told.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_server.nl2sql.database.identifiers import written

Row = Mapping[str, Any]

SLOW_MS = 100.0
SLOW_SHARE = 0.2
"""Of all time that statements take: then the statement counts however fast one call is."""
NOTED_SHARE = 0.03
"""From here on an index is looked for."""
UNUSED_BYTES = 512 * 1024
LEAST_CALLS = 2
SEQUENCE_USED = 0.6
FREEZE_LATE = 1.2
"""Times the age at which autovacuum freezes: so much later it does not keep up."""
CACHE_LOW, CACHE_BLOCKS = 0.95, 10_000

_SECRET = re.compile(r"password|passwd|secret|identified\s+by|sslkey|token", re.IGNORECASE)
HIDDEN = "(not shown: it may hold a password)"
INTEGERS = {20: "bigint", 21: "smallint", 23: "integer"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that ails. mend: SQL, to be read before it is run; of: what it is about."""

    check: str
    of: str
    says: str
    mend: str


def statement(text: str | None) -> str:
    """The text of a statement as it is told, on one line."""
    if text is None:
        return "(not known)"
    return HIDDEN if may_hold_a_secret(text) else " ".join(text.split())


def may_hold_a_secret(sql: str) -> bool:
    """Whether SQL may have a password in it, as CREATE ROLE has."""
    return _SECRET.search(sql) is not None


def slow(rows: Iterable[Row]) -> Iterator[Finding]:
    """Statements that take long, or most of the time."""
    for row in rows:
        if row["hidden"] or row["calls"] < LEAST_CALLS:
            continue
        share = row["share"] or 0.0
        if row["mean_ms"] < SLOW_MS and share < SLOW_SHARE:
            continue
        text = statement(row["query"])
        explain = f"explain (generic_plan) {text}" if text != HIDDEN else f"-- {text}"
        yield Finding(
            "slow_queries",
            f"query {row['queryid']}",
            f"{row['mean_ms']:.0f} ms a call on average ({row['max_ms']:.0f} at most), "
            f"{row['calls']} calls, {share:.0%} of all time",
            explain,
        )


def worth_an_index(row: Row) -> bool:
    """Whether a statement takes so much time, of one call or of all, that an index is tried."""
    worth = row["mean_ms"] >= SLOW_MS or (row["share"] or 0.0) >= NOTED_SHARE
    known = row["query"] is not None and not row["hidden"]
    return worth and known and row["calls"] >= LEAST_CALLS


@dataclass(frozen=True, slots=True)
class Index:
    """What a catalog says of an index. needed: of a constraint, or a replica identity."""

    table_oid: int
    schema: str
    table: str
    index: str
    method: str
    columns: Sequence[int]
    keys: int
    classes: str
    options: Sequence[int]
    expressions: str
    predicate: str
    is_unique: bool
    valid: bool
    needed: bool
    of_partition: bool
    partitioned: bool
    bytes: int
    scans: int
    table_is_read: bool

    @property
    def name(self) -> str:
        """As SQL writes it."""
        return written(self.schema, self.index)

    @property
    def drop(self) -> str:
        """The statement that removes it; one of a partitioned table takes no CONCURRENTLY."""
        return f"drop index {'' if self.partitioned else 'concurrently '}{self.name}"

    @property
    def may_go(self) -> bool:
        """Whether it serves reads alone, and goes by itself."""
        return not (self.needed or self.is_unique or self.of_partition)

    def does_for(self, other: "Index") -> bool:
        """Whether this one does what the other does, so that nobody misses that."""
        if (self.method, self.predicate, self.expressions) != (
            *(other.method, other.predicate, other.expressions),
        ):
            return False
        first = slice(None, other.keys)
        begins_alike = (
            tuple(self.columns[first]) == tuple(other.columns[first])
            and tuple(self.options[first]) == tuple(other.options[first])
            and self._classes(other.keys) == other._classes(other.keys)
        )
        if not begins_alike:
            return False
        more = set(other.columns[other.keys :])
        if other.method != "btree":
            return self.keys == other.keys and more <= set(self.columns)
        # An expression is column 0; a prefix of several would have to compare them one by one.
        return (self.keys == other.keys or not self.expressions) and more <= set(self.columns)

    def _classes(self, keys: int) -> list[list[str]]:
        return [part.strip("{}").split(",")[:keys] for part in self.classes.split(" ")]


def unused(indexes: Iterable[Index]) -> Iterator[Finding]:
    """Indexes that no query has used since the statistics began, of tables that are read."""
    for each in indexes:
        if each.valid and each.may_go and not each.partitioned and each.bytes >= UNUSED_BYTES:
            if each.scans or not each.table_is_read:
                continue
            yield Finding(
                "unused_indexes",
                each.name,
                f"never used by this server since its statistics began; {size(each.bytes)} of "
                f"{written(each.schema, each.table)}. Readers count their own",
                each.drop,
            )


def invalid(indexes: Iterable[Index]) -> Iterator[Finding]:
    """Indexes that a CREATE INDEX CONCURRENTLY left unfinished: they cost writes and serve none."""
    for each in indexes:
        if not each.valid and not each.partitioned:
            yield Finding(
                "invalid_indexes",
                each.name,
                "it was left unfinished: writes keep it up, no query uses it",
                f"reindex index concurrently {each.name}",
            )


def duplicates(indexes: Iterable[Index]) -> Iterator[Finding]:
    """Indexes whose work another one does: the same, or one that begins with the same columns."""
    tables = defaultdict[int, list[Index]](list)
    for each in indexes:
        if each.valid:
            tables[each.table_oid].append(each)
    for together in tables.values():
        gone: set[str] = set()
        for each in sorted(together, key=lambda one: (one.keys, one.index)):
            if each.needed or each.of_partition:
                continue
            for other in together:
                if other is each or other.index in gone or not other.does_for(each):
                    continue
                if each.is_unique and not (other.is_unique and other.keys == each.keys):
                    continue
                gone.add(each.index)
                yield Finding(
                    "duplicate_indexes",
                    each.name,
                    f"{other.name} does what it does; {size(each.bytes)} of "
                    f"{written(each.schema, each.table)}",
                    each.drop,
                )
                break


def missing(rows: Iterable[Row]) -> Iterator[Finding]:
    """Foreign keys without an index: each DELETE or key change there reads the whole table."""
    for row in rows:
        table = written(row["schema"], row["table"])
        columns = ", ".join(map(written, row["columns"]))
        at_once = "" if row["partitioned"] else "concurrently "
        yield Finding(
            "missing_indexes",
            f"{table} ({columns})",
            f"foreign key {written(row['constraint'])} has no index: a DELETE in "
            f"{written(row['to_schema'], row['to_table'])} reads all {row['rows']} rows",
            f"create index {at_once}on {table} ({columns})",
        )


def bloat(rows: Iterable[Row]) -> Iterator[Finding]:
    """Tables with dead rows, or with far more pages than their rows need."""
    for row in rows:
        table = written(row["schema"], row["table"])
        dead, live = row["dead"], row["live"]
        if dead > 1000 and dead > 0.2 * (dead + live):
            says = f"{dead} dead rows beside {live} live ones"
            mend = f"vacuum (analyze) {table}"
        else:
            spare = row["bytes"] - row["wanted"]
            says = f"about {size(spare)} of {size(row['bytes'])} are empty, an estimate"
            mend = f"vacuum (full, analyze) {table} -- locks the table and writes it again"
        yield Finding("bloat", table, says, mend)


def locks(rows: Iterable[Row]) -> Iterator[Finding]:
    """Who waits for whom; whoever waits for nobody is to be ended."""
    for row in rows:
        waits = row["waits_seconds"]
        held = statement(row["holding_query"])
        yield Finding(
            "locks",
            f"process {row['pid']} waits for {row['blocker']}",
            f"{row['waiting_user'] or 'somebody'} waits {_seconds(waits)} with: "
            f"{statement(row['waiting_query'])}; {row['holding_user'] or 'the other'} "
            f"({row['holding_state'] or 'state not known'}) ran: {held}",
            f"-- waits itself for another: end that one, not {row['blocker']}"
            if row["blocker_waits"]
            else _end(row["blocker"]),
        )


def transactions(rows: Iterable[Row]) -> Iterator[Finding]:
    """Transactions that are open for long: they hold locks, and rows that VACUUM must keep."""
    for row in rows:
        yield Finding(
            "long_transactions",
            f"process {row['pid']}",
            f"{row['user'] or 'somebody'} ({row['application'] or 'no application name'}): open "
            f"{_seconds(row['seconds'])}, {row['state'] or 'state not known'} "
            f"{_seconds(row['in_state_seconds'])}; last: {statement(row['query'])}",
            _end(row["pid"]),
        )


def prepared(rows: Iterable[Row]) -> Iterator[Finding]:
    """Transactions that were prepared, and neither committed nor rolled back."""
    for row in rows:
        name = row["gid"].replace("'", "''")
        yield Finding(
            "long_transactions",
            f"prepared transaction {row['gid']}",
            f"{row['user']} prepared it {_seconds(row['seconds'])} ago",
            f"rollback prepared '{name}'",
        )


def sequences(rows: Iterable[Row]) -> Iterator[Finding]:
    """Sequences that have few values left."""
    for row in rows:
        if (row["used"] or 0.0) < SEQUENCE_USED:
            continue
        sequence = written(row["schema"], row["sequence"])
        mends = []
        if not row["is_bigint"]:
            mends.append(f"alter sequence {sequence} as bigint")
        if row["column"] is not None and row["column_type"] in (21, 23):
            table = written(row["table_schema"], row["table_name"])
            mends.append(f"alter table {table} alter column {written(row['column'])} type bigint")
        yield Finding(
            "sequences",
            sequence,
            f"{row['used']:.0%} used: it stands at {row['last']} of {row['most']}"
            + (f" for {INTEGERS[row['column_type']]}" if row["column_type"] in INTEGERS else ""),
            "; ".join(mends) or f"alter sequence {sequence} no minvalue no maxvalue",
        )


def wraparound(rows: Iterable[Row]) -> Iterator[Finding]:
    """Tables that autovacuum should have frozen long ago."""
    for row in rows:
        for what, age, frozen_at in (
            ("transaction", row["age"], row["frozen_at"]),
            ("multixact", row["multixact_age"], row["multixact_frozen_at"]),
        ):
            if age is None or age < frozen_at * FREEZE_LATE:
                continue
            table = written(row["schema"], row["table"])
            yield Finding(
                "wraparound",
                table,
                f"its oldest {what} id is {age:,} old; autovacuum freezes at {frozen_at:,}, and at "
                "2.1 billion the server refuses writes",
                f"vacuum (freeze) {table}",
            )
            break


def cache(rows: Iterable[Row]) -> Iterator[Finding]:
    """Reads that memory does not answer."""
    for row in rows:
        blocks = row["hit"] + row["read"]
        if blocks < CACHE_BLOCKS or row["hit"] >= CACHE_LOW * blocks:
            continue
        yield Finding(
            "cache_ratio",
            "shared buffers",
            f"{row['hit'] / blocks:.1%} of {blocks:,} page reads were answered from memory; these "
            "tables read most from outside it, so index them, or give the server more memory",
            "select schemaname, relname, heap_blks_read + coalesce(idx_blks_read, 0) as read "
            "from pg_statio_user_tables order by 3 desc limit 10",
        )


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def _end(pid: int) -> str:
    return f"select pg_terminate_backend({int(pid)})"


def _seconds(seconds: float | None) -> str:
    return "for an unknown time" if seconds is None else f"for {max(seconds, 0):.0f} s"
