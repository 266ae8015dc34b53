"""How a connection is opened: fresh conninfo each time, our settings, an end to every wait."""

import re
import time
from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cluster_runtime.errors import BorealisError

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
        # Server-side prepared statements break behind a transaction-pooling PgBouncer; the hot
        # statements are functions in the database, whose plans the server keeps by itself.
        self.kwargs: dict[str, Any] = {
            "autocommit": True,
            "prepare_threshold": 5 if prepare else None,
        }
        self._application_name = application_name

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
