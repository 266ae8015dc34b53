"""Building candidates on a branch, and running the statements with and without each.

Texts of statements come from whoever used the database. They run as `borealis_reader`, behind the
guard of `run_query`, in READ ONLY transactions with time limits, and on a branch that is thrown
away. What the master user runs there is CREATE INDEX and DROP INDEX of quoted names of the catalog,
with `pg_catalog` alone searched.
"""

import json
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import anyio
import psycopg
from anyio import to_thread

from mcp_server.advice.findings import Finding, Row
from mcp_server.advice.indexing import catalog, outcomes
from mcp_server.advice.indexing.candidates import (
    Candidate,
    Samples,
    Table,
    candidates,
    with_values,
)
from mcp_server.advice.indexing.outcomes import Measured, Tried
from mcp_server.advice.indexing.statements import (
    Compared,
    NotReadError,
    Place,
    TableName,
    as_query,
    read,
    tables_of,
)
from mcp_server.advice.plans import Plan, plan_of
from mcp_server.databases.connections import Connection, interruptible
from mcp_server.databases.existing import Database
from mcp_server.nl2sql.database.wire import TextRow
from mcp_server.nl2sql.errors import NL2SQLError, QueryTimeoutError
from mcp_server.rendering import clip
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import connected, fetched, reading
from mcp_server.sql_errors import connection_lost

T = TypeVar("T")
Work = Callable[[Connection], Coroutine[Any, Any, T]]

STATEMENTS_MAX = 8
CANDIDATES_MAX = 12
ALL_SECONDS = 60.0
"""Of one check; what runs then is stopped."""
RUN_SECONDS = 10.0
BUILD_SECONDS = 30.0
VALUES = 3
"""Sets of values that each statement is run with."""
LONG_MS = 1000.0
"""A run that took so long is not done again."""
WHY_CHARACTERS = 300
ROWS_MIN = 1000
"""Of a table: a smaller one is read as fast as an index is."""
RUNNING = limits_of_a_call(VALUES, RUN_SECONDS)
BUILDING = limits_of_a_call(seconds=BUILD_SECONDS)
SETTLED = "rollback; deallocate all"
ANALYZE = "analyze, timing off"
ADVISING = anyio.Semaphore(1)
"""One check at a time: it has two connections, and who has one while it waits for another may wait
for one that waits as well."""
NO_TIME = f"not tried: the {ALL_SECONDS:g} s of this check were over"


@dataclass(slots=True)
class Advice:
    """What came of it. not_tried, no_index: by statement, why not and what was seen."""

    found: list[Finding] = field(default_factory=list)
    not_tried: dict[str, str] = field(default_factory=dict)
    no_index: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Statement:
    """One that may want an index. runs: the query with values. tables: those that it reads."""

    tried: Tried
    runs: list[str]
    tables: frozenset[str]
    candidates: list[Candidate]


async def advise(slow: Sequence[Row], branch: Database, database: str | None) -> Advice:
    """Which indexes the statements lack. branch: of the cluster, and thrown away afterwards.

    Raises psycopg.Error when the branch is lost.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(ADVISING)
        builder = await stack.enter_async_context(connected(branch, database, BUILDING))
        reader = await stack.enter_async_context(_Reader(branch, database))
        await builder.execute(catalog.PINNED)
        return await _Trial(reader, builder).run(slow)


class _Reader:
    """A session of the reader, and another one where a statement did not end with less."""

    def __init__(self, branch: Database, database: str | None) -> None:
        self._branch, self._database = branch, database
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def alone(
        self, work: Callable[[Connection], Coroutine[Any, Any, T]], seconds: float
    ) -> T:
        """What work in a transaction of its own returns. Raises NL2SQLError and psycopg.Error."""
        connection = self._connection
        if connection is None or connection.closed:
            await self._stack.aclose()
            session = reading(self._branch, self._database, RUNNING)
            self._connection = connection = await self._stack.enter_async_context(session)
        try:
            done = await interruptible(connection, work(connection), seconds)
        except (NL2SQLError, psycopg.Error):
            if not connection.closed:
                await connection.execute(SETTLED)
            raise
        await connection.execute(SETTLED)
        return done


class _Trial:
    """One check: sessions of the reader, and one of the master user."""

    def __init__(self, reader: _Reader, builder: Connection) -> None:
        self._reader, self._builder = reader, builder
        self._until = time.monotonic() + ALL_SECONDS
        self._advice = Advice()
        self._sizes: dict[Candidate, int] = {}

    async def run(self, slow: Sequence[Row]) -> Advice:
        """Read, run, build, run again, choose."""
        statements = []
        for row in slow[:STATEMENTS_MAX]:
            name = f"query {row['queryid']}"
            try:
                if (made := await self._prepared(name, row)) is not None:
                    statements.append(made)
            except (NotReadError, NL2SQLError, psycopg.Error) as error:
                self._advice.not_tried[name] = _why(error)
        for row in slow[STATEMENTS_MAX:]:
            self._advice.not_tried[f"query {row['queryid']}"] = (
                f"not tried: {STATEMENTS_MAX} statements took more time in all"
            )
        await self._build_each(statements)
        tried = [each.tried for each in statements]
        helpless = [each for each in tried if not any(map(each.helped, each.with_index))]
        self._advice.no_index = {each.name: outcomes.not_helped(each) for each in helpless}
        self._advice.found = list(outcomes.findings(tried, self._sizes))
        return self._advice

    async def _prepared(self, name: str, row: Row) -> _Statement | None:
        """A statement that can be tried, run as things are; None for one that reads no table.

        Raises NotReadError and NL2SQLError. What reads its text is in a thread: it takes its time.
        """
        query = await to_thread.run_sync(as_query, row["query"])
        if query is None:
            return None
        named = await to_thread.run_sync(tables_of, query)
        seconds = self._at_most(RUN_SECONDS)
        limits = limits_of_a_call(VALUES, seconds)
        tables = await self._reader.alone(lambda to: catalog.tables(to, named, limits), seconds)
        if not tables:
            return None
        columns = {table: facts.columns for table, facts in tables.items()}
        found = await to_thread.run_sync(read, query, columns)
        wanted = [
            candidate
            for table, asked in found.asked
            if tables[table].rows >= ROWS_MIN
            for candidate in candidates(tables[table], asked)
        ]
        samples = await self._samples(tables, found.parameters.values())
        runs = [with_values(query, found.parameters, samples, n) for n in range(VALUES)]
        known = list(dict.fromkeys(run for run in runs if run is not None))
        if not known:
            raise NotReadError("there are no values to try it with: no rows, or nothing but NULL")
        before = await self._measured(known[0])
        if before.ms > LONG_MS:
            del known[1:]
        else:
            before = Measured.of_all([before, *[await self._measured(run) for run in known[1:]]])
        tried = Tried(name, row["query"], row["calls"], before)
        written = frozenset(table.written for table in tables.values())
        return _Statement(tried, known, written, list(dict.fromkeys(wanted)))

    async def _samples(
        self, tables: dict[TableName, Table], beside: Collection[tuple[Place, Compared]]
    ) -> dict[Place, Samples]:
        """Values of the columns that parameters stand beside; of those that have any."""
        ranged = {place for place, compared in beside if compared in (Compared.FROM, Compared.TO)}
        samples: dict[Place, Samples] = {}
        for name, table in tables.items():
            columns = sorted({column for (of, column), _ in beside if of == name})
            rows = await self._rows(catalog.some_rows(table, columns)) if columns else []
            for number, column in enumerate(columns):
                some = [value for row in rows if (value := row[number]) is not None]
                if some and (name, column) in ranged:
                    (ends,) = await self._rows(catalog.quantiles(table, column))
                    samples[name, column] = Samples(some, [str(end) for end in ends])
                elif some:
                    samples[name, column] = Samples(some)
        return samples

    async def _build_each(self, statements: Sequence[_Statement]) -> None:
        """Each candidate in turn, alone: what it does for the statements of its table."""
        wanted = list(dict.fromkeys(each for one in statements for each in one.candidates))
        for candidate in wanted[:CANDIDATES_MAX]:
            try:
                await self._try(candidate, statements)
            except (NotReadError, NL2SQLError, psycopg.Error) as error:
                self._advice.not_tried[f"index on {candidate.place}"] = _why(error)
        for candidate in wanted[CANDIDATES_MAX:]:
            self._advice.not_tried[f"index on {candidate.place}"] = "enough others were tried"

    async def _try(self, candidate: Candidate, statements: Sequence[_Statement]) -> None:
        index = f"borealis_advice_{secrets.token_hex(6)}"
        await self._build(catalog.create(candidate, index), self._at_most(BUILD_SECONDS))
        try:
            names = await self._built(candidate, index)
            for one in statements:
                if candidate.table in one.tables:
                    await self._run_with(candidate, names, one)
        finally:
            await self._build(catalog.drop(candidate, index), BUILD_SECONDS)

    async def _run_with(self, candidate: Candidate, names: frozenset[str], one: _Statement) -> None:
        """What a candidate does for a statement. names: of the index, and of its partitions'."""
        try:
            after = Measured.of_all([await self._measured(run) for run in one.runs])
        except (NL2SQLError, psycopg.Error) as error:
            failed = f"{one.tried.name} with an index on {candidate.place}"
            self._advice.not_tried[failed] = _why(error)
            return
        if after.indexes & names:
            one.tried.with_index[candidate] = after

    async def _build(self, statement: str, seconds: float) -> None:
        work = self._builder.execute(statement.encode())
        try:
            await interruptible(self._builder, work, seconds)
        except QueryTimeoutError as late:
            raise NotReadError(f"to build it takes more than {seconds:.0f} s") from late

    async def _built(self, candidate: Candidate, index: str) -> frozenset[str]:
        """The names of an index and of its parts, whose size is noted."""
        name = {"name": catalog.index_name(candidate, index)}
        cursor = await self._builder.execute(catalog.BUILT, name)
        size, names = await cursor.fetchone() or (0, [])
        self._sizes[candidate] = int(size)
        return frozenset(names)

    async def _measured(self, sql: str) -> Measured:
        """Run one twice, as short as it was; without an end within RUN_SECONDS, that long."""
        plan = await self._explained(ANALYZE, sql)
        if plan is None:
            plan = await self._explained("costs", sql)
            cost, used = (0.0, frozenset[str]()) if plan is None else (plan.cost, plan.indexes)
            return Measured(RUN_SECONDS * 1000, cost, used, at_least=True)
        took = plan.execution_ms or 0.0
        if took < LONG_MS and (again := await self._explained(ANALYZE, sql)):
            took = min(took, again.execution_ms or took)
        return Measured(took, plan.cost, plan.indexes)

    async def _explained(self, options: str, sql: str) -> Plan | None:
        """The plan of a query; None where it does not end within its time. Raises NL2SQLError."""
        try:
            ((text,),) = await self._rows(f"explain ({options}, format json) {sql}")
        except QueryTimeoutError:
            return None
        return plan_of(json.loads(text or "[]"))

    async def _rows(self, sql: str) -> list[TextRow]:
        """Rows of a query that passes the guard. Raises NL2SQLError, and NotReadError."""
        seconds = self._at_most(RUN_SECONDS)
        limits = limits_of_a_call(VALUES, seconds)
        return (await self._reader.alone(lambda to: fetched(to, sql, limits), seconds)).texts

    def _at_most(self, seconds: float) -> float:
        """What something may take. Raises NotReadError when the time of the check is over."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise NotReadError(NO_TIME)
        return min(seconds, left)


def _why(error: Exception) -> str:
    """What is told of what could not be tried. Raises the error where the branch is lost."""
    if not isinstance(error, psycopg.Error):
        return clip(str(error), WHY_CHARACTERS)
    if connection_lost(error):
        raise error
    said = error.diag.message_primary or type(error).__name__
    return clip(f"{said} (SQLSTATE {error.sqlstate})", WHY_CHARACTERS)
