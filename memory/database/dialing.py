"""How a connection is opened: fresh conninfo each time, our settings, an end to every wait.

And how a hot statement goes through it: `called`.
"""

import re
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import DiagnosticField, ExecStatus, Format, PipelineStatus
from psycopg.pq.abc import PGresult

from cluster_runtime.errors import BorealisError
from memory.database.arrays import binary
from memory.database.steps import Row, Typed

T = TypeVar("T")
SyncConnection: TypeAlias = psycopg.Connection[Any]
AsyncConnection: TypeAlias = psycopg.AsyncConnection[Any]

WAIT_INTERVAL_SECONDS = 0.1


@runtime_checkable
class HasDsn(Protocol):
    """A cluster, as far as this package is concerned."""

    def dsn(self, endpoint: Any = "writer") -> str:
        """Conninfo of an endpoint, asked for again for every new connection (tokens expire)."""


_WITH_DRIVER = re.compile(r"(postgres(?:ql)?)\+[a-z0-9_]+://", re.IGNORECASE)


def without_driver(dsn: str) -> str:
    """A SQLAlchemy URL as libpq takes it: `postgresql+psycopg://...` names a driver of Python's."""
    return _WITH_DRIVER.sub(r"\1://", dsn, count=1) if _WITH_DRIVER.match(dsn) else dsn


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection whose every wait ends at `deadline` (`time.monotonic()` seconds).

    Without it a synchronous call would wait forever on a server that stopped answering.
    """

    deadline: float | None = None

    def wait(
        self,
        gen: Generator[Any, Any, T],
        interval: float = WAIT_INTERVAL_SECONDS,
        timeout: float | None = None,
    ) -> T:
        """Wait as psycopg does. Raises OperationalError once the deadline has passed."""
        if timeout is not None or self.deadline is None:
            return super().wait(gen, interval, timeout)
        left = max(0.001, self.deadline - time.monotonic())
        try:
            return super().wait(gen, interval, left)
        except psycopg.errors._WaitTimeout as error:
            raise psycopg.OperationalError(
                "the server did not answer before the deadline"
            ) from error


class Dialer:
    """How to reach the database: fresh conninfo for each connection, and our settings on it."""

    def __init__(self, source: HasDsn | str, *, prepare: bool, application_name: str) -> None:
        self._dsn: Callable[[], str]
        if isinstance(source, str):
            fixed = without_driver(source)
            self._dsn = lambda: fixed
        else:
            self._dsn = source.dsn
        # Prepared statements of psycopg break behind a transaction-pooling PgBouncer. The hot
        # statements are functions in the database, whose plans the server keeps by itself, and
        # they may be prepared anyway: see `called`.
        self.kwargs: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": 0 if prepare else None,
        }
        self._prepared_at = 0 if prepare else PREPARED_AT
        self._kept = Kept()
        self._application_name = application_name

    def opened(self, connection: SyncConnection | AsyncConnection) -> None:
        """One was opened to this address."""
        vars(connection)[_PREPARED] = Prepared(self._prepared_at, self._kept)

    def _current_dsn(self) -> str:
        """The DSN; while a cluster changes state, an error that passes instead of the cluster's."""
        try:
            return self._dsn()
        except BorealisError as error:
            if error.retry_helps:
                raise psycopg.OperationalError(str(error)) from error
            raise

    def conninfo(self, timeout: float) -> str:
        """Conninfo that gives up connecting after `timeout` seconds (libpq's minimum is 2)."""
        given = conninfo_to_dict(self._current_dsn())
        defaults: dict[str, Any] = {
            "application_name": self._application_name,
            "keepalives_idle": 30,
            "connect_timeout": max(2, int(timeout)),
        }
        return make_conninfo("", **{**defaults, **given})


# -- hot statements

PREPARED_AT = 3
"""A statement is prepared when a connection has run it so often: that is a round trip more."""

LOST = frozenset({b"26000", b"42P05"})
"""invalid_sql_statement_name, duplicate_prepared_statement: of a pooler, or after DISCARD ALL."""
_PREPARED = "_borealis_prepared"
_FUNCTION = re.compile(rb"\bmemory_[a-z]+")


@dataclass(slots=True)
class Kept:
    """Whether an address keeps prepared statements for the connection that made them."""

    always: bool = True


@dataclass(slots=True)
class Prepared:
    """A connection's prepared statements, and how often it ran the others. after: so many times."""

    after: int | None
    kept: Kept = field(default_factory=Kept)
    names: dict[Typed, bytes] = field(default_factory=dict)
    uses: dict[Typed, int] = field(default_factory=dict)

    def wants(self, statement: Typed) -> bool:
        """Whether it is time to prepare this."""
        if self.after is None or not self.kept.always:
            return False
        self.uses[statement] = uses = self.uses.get(statement, 0) + 1
        return uses > self.after

    def see(self, result: PGresult) -> None:
        """Prepare nothing any more once something is lost; the call is made again."""
        if result.error_field(DiagnosticField.SQLSTATE) in LOST:
            self.names.clear()
            self.kept.always = False


def takes_calls(connection: SyncConnection | AsyncConnection) -> bool:
    """Whether `called` works: a caller's connection may be in a pipeline, or not in UTF-8."""
    pgconn = connection.pgconn
    return (
        pgconn.pipeline_status == PipelineStatus.OFF
        and pgconn.parameter_status(b"client_encoding") == b"UTF8"
    )


def called(
    connection: SyncConnection | AsyncConnection, statement: Typed, values: Sequence[Any]
) -> PQGen[Row | None]:
    """Run a statement; its first row, in PostgreSQL's binary format.

    It is prepared once the connection has run it three times, a caller's when psycopg would do so,
    under a name that tells the text: behind a pooler that knows nothing of it there may be no such
    statement, which is seen once, but never another one.
    """
    pgconn = connection.pgconn
    encoded = [binary(value) for value in values]
    formats = [Format.BINARY] * len(encoded)
    prepared: Prepared | None = vars(connection).get(_PREPARED)
    if prepared is None:
        prepared = vars(connection)[_PREPARED] = Prepared(connection.prepare_threshold)
    name = prepared.names.get(statement)
    if name is None and prepared.wants(statement):
        name = _name_of(statement)
        pgconn.send_prepare(name, statement.text, statement.types)
        result = (yield from generators.execute(pgconn))[-1]
        prepared.see(result)
        _checked(result)
        prepared.names[statement] = name
    if name is None:
        pgconn.send_query_params(statement.text, encoded, statement.types, formats, Format.BINARY)
    else:
        pgconn.send_query_prepared(name, encoded, formats, Format.BINARY)
    result = (yield from generators.execute(pgconn))[-1]
    prepared.see(result)
    return first_row(result)


def _name_of(statement: Typed) -> bytes:
    digest = blake2b(repr(statement).encode(), digest_size=16).hexdigest().encode()
    return b"_".join([*_FUNCTION.findall(statement.text), digest])


def first_row(result: PGresult) -> Row | None:
    """The fields of the first row, as they came."""
    _checked(result)
    if not result.ntuples:
        return None
    return tuple(result.get_value(0, column) for column in range(result.nfields))


def _checked(result: PGresult) -> None:
    if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        raise psycopg.errors.error_from_result(result)
