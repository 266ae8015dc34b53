"""One body for sync and async: generators say what they need, a runner does it.

A body is a generator that yields requests and is sent their answers. It never touches a
connection, so the synchronous and the asynchronous method are the same code, and a test can
answer the requests from a list. psycopg 3 itself is built this way.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, LiteralString, TypeAlias, TypeVar

from langchain_core.embeddings import Embeddings
from psycopg import sql

T = TypeVar("T")
Statement: TypeAlias = LiteralString | bytes | sql.SQL | sql.Composed
Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FetchAll:
    """Run a statement; the answer is its rows as tuples (binary results)."""

    statement: Statement
    parameters: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class FetchOne:
    """Run a statement; the answer is its first row, or None.

    numbered: its parameters are $1, $2, ... and it goes to the server as it is. psycopg looks for
        `%s` in a statement of more than 50 parameters every time.
    """

    statement: Statement
    parameters: Sequence[Any] = ()
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Execute:
    """Run a statement without result rows, unprepared; the answer is its row count."""

    statement: Statement
    parameters: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class CopyIn:
    """Send a prepared binary COPY stream; the answer is None."""

    statement: Statement
    data: bytes


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed texts, as documents or as queries, while no connection is held.

    The answer is one vector for each text.
    """

    embeddings: Embeddings
    texts: Sequence[str]
    as_queries: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for another call, seconds at most; None: as long as an operation may take.

    The answer is whether the future is done; a synchronous call in an event loop does not wait.
    """

    future: "Future[None]"
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """Run database steps on one connection, again from the start when the server fails.

    `steps` makes a fresh generator for every attempt. `transaction` runs them as one transaction,
    `alone` never in one (as `create index concurrently` must). deadline: seconds, where it takes
    longer than other operations may. Answer: what the generator returned.
    """

    steps: Callable[[], "Steps[Any]"]
    transaction: bool = False
    alone: bool = False
    deadline: float | None = None


DatabaseStep: TypeAlias = FetchAll | FetchOne | Execute | CopyIn
Steps: TypeAlias = Generator[DatabaseStep, Any, T]
"""What runs on one connection."""

Request: TypeAlias = Embed | Pause | Attempt
Plan: TypeAlias = Generator[Request, Any, T]
"""What surrounds it: embedding, waiting for other calls, several attempts in a row."""


def attempt(
    steps: Callable[[], Steps[T]],
    *,
    transaction: bool = False,
    alone: bool = False,
    deadline: float | None = None,
) -> Plan[T]:
    """The plan that consists of one attempt."""
    result: T = yield Attempt(steps, transaction, alone, deadline)
    return result


def fetch_all(statement: Statement, parameters: Sequence[Any] = ()) -> Steps[list[Row]]:
    """The steps that consist of one query."""
    rows: list[Row] = yield FetchAll(statement, parameters)
    return rows
