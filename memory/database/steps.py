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
class FetchEach:
    """Run statements that only read in one round trip; the answer is the rows of each."""

    queries: Sequence[FetchAll]


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


DatabaseStep: TypeAlias = FetchAll | FetchOne | FetchEach | Execute | CopyIn
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


def together(several: Sequence[Steps[Any]]) -> Steps[list[Any]]:
    """The results of steps that only read: what they ask for next goes in one round trip.

    Nothing else may be among them: the locks of one would be held until the last has ended.
    """
    results: list[Any] = [None] * len(several)
    asked: dict[int, DatabaseStep] = {}

    def go_on(number: int, answer: Any) -> None:
        try:
            asked[number] = several[number].send(answer)
        except StopIteration as done:
            asked.pop(number, None)
            results[number] = done.value

    for number in range(len(several)):
        go_on(number, None)
    while asked:
        numbers = list(asked)
        if len(numbers) == 1:
            go_on(numbers[0], (yield asked[numbers[0]]))
            continue
        queries = [_query(asked[number]) for number in numbers]
        found: list[list[Row]] = yield FetchEach(queries)
        for number, rows in zip(numbers, found, strict=True):
            one = isinstance(asked[number], FetchOne)
            go_on(number, (rows[0] if rows else None) if one else rows)
    return results


def _query(step: DatabaseStep) -> FetchAll:
    match step:
        case FetchAll():
            return step
        case FetchOne(statement, parameters):
            return FetchAll(statement, parameters)
        case FetchEach() | Execute() | CopyIn():
            raise AssertionError(f"{type(step).__name__} among steps that only read")
