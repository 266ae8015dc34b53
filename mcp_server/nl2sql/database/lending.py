"""Connections that are lent for a question, and kept for the next for a while."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import psycopg
import structlog
from psycopg import errors as pg
from psycopg.types.string import TextLoader

from mcp_server.nl2sql.database.connecting import Dsn, connect_to_read, conninfo
from mcp_server.nl2sql.database.stopping import StoppableConnection, go_on

log = structlog.get_logger(__name__)

IDLE_SECONDS = 2.0
"""How long connections are kept unused; an open one would keep a cluster from pausing."""
LENT_MAX = 4
"""Who asks while so many are lent waits for one to be given back."""
CANCEL_SECONDS = 5.0
LOOK_SECONDS = 0.2
"""How often who waits for a connection looks whether anybody waits for him."""

TEMPORAL = ("date", "timestamp", "timestamptz", "time", "timetz", "interval")
"""Types with values that Python has none for: infinity, years before 1, 24:00."""


@dataclass(slots=True, eq=False)
class Loan:
    """A connection while it is lent. kept: it was open before, and may be lost by now."""

    conn: StoppableConnection
    kept: bool
    ended: bool = False

    def go_on(self) -> None:
        """Raise QueryCanceled if the lender was closed meanwhile."""
        if self.ended:
            raise pg.QueryCanceled("the translator was closed while it worked on the question")


class Lender:
    """Lends connections to one database to any thread; closes them when nobody asks any more.

    dsn: see `Dsn`. Dates and times of the rows are texts.
    """

    def __init__(self, dsn: Dsn) -> None:
        self._dsn = dsn
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(LENT_MAX)
        self._free: list[StoppableConnection] = []
        self._loans: set[Loan] = set()
        self._closings = 0
        self._idle: threading.Timer | None = None

    @contextmanager
    def lend(self) -> Iterator[Loan]:
        """A connection for one block. Raises psycopg.OperationalError where none can be made."""
        while not self._places.acquire(timeout=LOOK_SECONDS):
            go_on()
        try:
            loan = self._take()
            try:
                yield loan
            except BaseException:
                loan.conn.close()  # it may be within a transaction: nobody waits for its end
                raise
            finally:
                self._give_back(loan)
        finally:
            self._places.release()

    def renew(self, loan: Loan) -> None:
        """Another connection for one that was lost; the free ones were lost with it."""
        self._close_free()
        loan.conn.close()
        loan.conn, loan.kept = self._open(), False

    def close(self) -> None:
        """Close what is free, and cancel what runs: its block gets QueryCanceled."""
        with self._lock:
            self._closings += 1
            loans = list(self._loans)
            for loan in loans:
                loan.ended = True
            if self._idle is not None:
                self._idle.cancel()
        self._close_free()
        for loan in loans:
            try:
                loan.conn.cancel_safe(timeout=CANCEL_SECONDS)
            except psycopg.Error as error:
                log.warning("mcp.not_cancelled", error=type(error).__name__)

    def _take(self) -> Loan:
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            conn = self._free.pop() if self._free else None
            closings = self._closings
        loan = Loan(conn or self._open(), kept=conn is not None)
        with self._lock:
            loan.ended = self._closings > closings
            self._loans.add(loan)
        return loan

    def _give_back(self, loan: Loan) -> None:
        with self._lock:
            self._loans.discard(loan)
            if loan.conn.closed or loan.ended or loan.conn.disturbed:
                loan.conn.close()
            else:
                self._free.append(loan.conn)
            if self._free and not self._loans:
                if self._idle is not None:
                    self._idle.cancel()
                self._idle = threading.Timer(IDLE_SECONDS, self._close_free)
                self._idle.daemon = True
                self._idle.start()

    def _close_free(self) -> None:
        with self._lock:
            free, self._free = self._free, []
        for conn in free:
            conn.close()

    def _open(self) -> StoppableConnection:
        dsn = conninfo(self._dsn)
        conn: StoppableConnection = connect_to_read(
            dsn, StoppableConnection, client_encoding="utf8"
        )
        try:
            conn.know_itself(dsn)
        except BaseException:
            conn.close()
            raise
        for name in TEMPORAL:
            conn.adapters.register_loader(name, TextLoader)
        return conn


class Borrower:
    """What works over connections that are lent: closed by hand, or by `with`."""

    _lender: Lender

    def close(self) -> None:
        """Close the connections; the next question opens another.

        Statements of questions that are being translated are cancelled: their callers get
        psycopg.errors.QueryCanceled.
        """
        self._lender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
