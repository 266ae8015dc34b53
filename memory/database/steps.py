"""One body for sync and async: generators say what they need, a runner does it.

A body is a generator that yields requests and is sent their answers. It never touches a
connection, so the synchronous and the asynchronous method are the same code, and a test can
answer the requests from a list. psycopg 3 itself is built this way.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import TIMEOUT_MAX, Lock
from typing import Any, LiteralString, TypeAlias, TypeVar

from langchain_core.embeddings import Embeddings
from psycopg import sql

from memory.errors import StoppedError
from memory.forked import FreshLock

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
    """Run a statement; the answer is its first row, or None."""

    statement: Statement
    parameters: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Typed:
    """A statement whose parameters are $1, $2, ..., of these types (OIDs)."""

    text: bytes
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Run a hot statement past psycopg's cursors, whose adaptation costs more than the rest.

    values: as `memory.database.arrays.binary` takes them. The answer is the first row's fields in
    PostgreSQL's binary format, or None.
    """

    statement: Typed
    values: Sequence[Any]


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


class Signal:
    """Given once, for threads and event loops that wait for it. A future costs ten times as much.

    Nobody can cancel it, as a task that waits for a future and is stopped would do.
    """

    __slots__ = ("_given", "_waiting")

    def __init__(self) -> None:
        self._given = False
        self._waiting: list[Callable[[], object]] = []

    def done(self) -> bool:
        """Whether it was given."""
        return self._given

    def give(self) -> None:
        """Wake who waits, and let nobody wait any more."""
        self._given = True
        with suppress(IndexError):  # of two that give it at once
            while self._waiting:
                self._waiting.pop()()

    def then(self, wake: Callable[[], object]) -> None:
        """Have this called when it is given, at least once, by the thread that gives it."""
        # In this order: who gives it in between sees it there.
        self._waiting.append(wake)
        if self._given:
            wake()

    def wait(self, seconds: float) -> None:
        """Wait in this thread, until it is given or the time is over."""
        if self._given:
            return
        turnstile = Lock()
        turnstile.acquire()

        def wake() -> None:
            with suppress(RuntimeError):  # called twice
                turnstile.release()

        self.then(wake)
        turnstile.acquire(timeout=min(seconds, TIMEOUT_MAX))


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for another call, seconds at most; None: as long as an operation may take.

    The answer is whether the signal is given; a synchronous call in an event loop does not wait.
    """

    signal: Signal
    seconds: float | None


class Stop:
    """Lets another thread end attempts: the statement that is under way, and those to come."""

    def __init__(self) -> None:
        self._lock = FreshLock()
        self._asked = False
        self._cancel: Callable[[], object] | None = None

    @property
    def asked(self) -> bool:
        """Whether somebody wants it to end."""
        return self._asked

    @contextmanager
    def over(self, cancel: Callable[[], object]) -> Iterator[None]:
        """While a connection is used. cancel: ends its statement. Raises StoppedError if asked."""
        with self._lock:
            if self._asked:
                raise StoppedError("nothing more is done here: it was closed")
            self._cancel = cancel
        try:
            yield
        finally:
            with self._lock:  # or the statement of whoever has the connection next would end
                self._cancel = None

    def ask(self) -> None:
        """End it. To be said again until it has: no statement may be under way at the moment."""
        with self._lock:
            self._asked = True
            if self._cancel is not None:
                self._cancel()


@dataclass(frozen=True, slots=True)
class Attempt:
    """Run database steps on one connection, again from the start when the server fails.

    `steps` makes a fresh generator for every attempt. `transaction` runs them as one transaction,
    `alone` never in one (as `create index concurrently` must). deadline: seconds, where it takes
    longer than other operations may. stop: ends it from another thread, where it is run
    synchronously. Answer: what the generator returned.
    """

    steps: Callable[[], "Steps[Any]"]
    transaction: bool = False
    alone: bool = False
    deadline: float | None = None
    stop: "Stop | None" = None


DatabaseStep: TypeAlias = FetchAll | FetchOne | FetchEach | Call | Execute | CopyIn
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
    stop: "Stop | None" = None,
) -> Plan[T]:
    """The plan that consists of one attempt."""
    result: T = yield Attempt(steps, transaction, alone, deadline, stop)
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
        case FetchEach() | Call() | Execute() | CopyIn():
            raise AssertionError(f"{type(step).__name__} among steps that only read")
