"""Sessions that read a tenant's database: as its master user, in one snapshot, and nothing else.

The database is hostile: whoever may create something in it chooses names, types and expressions.
So a session takes no setting from it. What a database or a role could hand down is pinned in the
startup message, no name resolves outside pg_catalog, and the transaction is read only. Row security
raises instead of running a policy, and a relation that turns into a view or a foreign table
meanwhile is refused instead of evaluated, where PostgreSQL knows how to.

Source: PostgreSQL manual, "Client Connection Defaults"; CVE-2024-7348 (pg_dump).
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from cluster_runtime.engine.access.admin_session import options_of
from cluster_runtime.engine.access.private_socket import SETTLED, private_conninfo
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import EngineError

T = TypeVar("T")

APPLICATION = "borealis diff"
LOCK_TIMEOUT = "5s"

_PINNED: Settings = {
    "search_path": "pg_catalog, pg_temp",
    "role": "none",
    "default_transaction_read_only": True,
    "default_transaction_isolation": "repeatable read",
    "default_transaction_deferrable": False,
    "row_security": False,
    "temp_tablespaces": "",
    "statement_timeout": 0,
    "lock_timeout": LOCK_TIMEOUT,
    "idle_in_transaction_session_timeout": 0,
    "idle_session_timeout": 0,
    "client_connection_check_interval": 0,
    "tcp_user_timeout": 0,
    "local_preload_libraries": "",
    "check_function_bodies": False,
    "exit_on_error": False,
    "client_min_messages": "error",
    "client_encoding": "UTF8",
    "standard_conforming_strings": True,
    "backslash_quote": "safe_encoding",
    "quote_all_identifiers": False,
    "transform_null_equals": False,
    "array_nulls": True,
    # Both sides write a value the same way.
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": 1,
    "lc_monetary": "C",
    "lc_numeric": "C",
    "xmlbinary": "base64",
    "jit": False,
    "work_mem": "64MB",
}
_PINNED_SINCE: dict[int, Settings] = {17: {"transaction_timeout": 0}}
_NO_VIEWS = """
select pg_catalog.set_config('restrict_nonsystem_relation_kind', 'view,foreign-table', false)
 where pg_catalog.current_setting('restrict_nonsystem_relation_kind', true) is not null
"""
"""Where it is known: releases since August 2024."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database to read. label: how errors call it. major: of its PostgreSQL."""

    label: str
    socket_directory: Path
    major: int
    user: str
    database: str

    @property
    def conninfo(self) -> str:
        """How to get there: through the private socket, with everything pinned."""
        newer = [settings for since, settings in _PINNED_SINCE.items() if self.major >= since]
        pinned = {name: value for each in (_PINNED, *newer) for name, value in each.items()}
        return private_conninfo(
            self.socket_directory,
            self.user,
            self.database,
            APPLICATION,
            options=options_of(pinned),
        )


class Reading:
    """A session with one snapshot of a database. Used by one thread; `cancel` by any."""

    def __init__(self, address: DatabaseAddress, conn: psycopg.Connection[Any]) -> None:
        self.address = address
        self.conn = conn

    def cancel(self) -> None:
        """Have the statement under way end with an error."""
        self.conn.cancel_safe()


class Sides:
    """Two sessions that work at the same time."""

    def __init__(self, source: Reading, target: Reading) -> None:
        self.source = source
        self.target = target

    def both(self, work: Callable[[Reading], T]) -> tuple[T, T]:
        """Do the same on both sides."""
        return self.each(work, work)

    def each(self, source: Callable[[Reading], T], target: Callable[[Reading], T]) -> tuple[T, T]:
        """Do one thing on one side and another on the other. Both have ended when this returns."""
        with ThreadPoolExecutor(2, "borealis-diff") as threads:
            here = threads.submit(source, self.source)
            there = threads.submit(target, self.target)
            first, _ = wait((here, there), return_when=FIRST_EXCEPTION)
            for running, reading in ((here, self.source), (there, self.target)):
                if not running.done():
                    reading.cancel()
        for ended in first:
            ended.result()  # what went wrong, and not that the other side was cancelled for it
        return here.result(), there.result()


def open_both(
    stack: ExitStack, source: DatabaseAddress, target: DatabaseAddress
) -> tuple[Reading, Reading]:
    """A session on each side, which the stack closes. Raises as `reading` does."""
    with ThreadPoolExecutor(2, "borealis-diff") as threads:
        here = threads.submit(stack.enter_context, reading(source))
        there = threads.submit(stack.enter_context, reading(target))
    return here.result(), there.result()


@contextmanager
def reading(address: DatabaseAddress) -> Iterator[Reading]:
    """Open a session, with a transaction that ends with it.

    Raises EngineError where PostgreSQL lets nobody in, and psycopg.Error afterwards.
    """
    try:
        conn = psycopg.connect(address.conninfo)
    except psycopg.OperationalError as error:
        raise EngineError(f"{address.label} cannot be read: {error}") from error
    with closing(conn):
        conn.execute(SETTLED)
        conn.execute(_NO_VIEWS)
        yield Reading(address, conn)
