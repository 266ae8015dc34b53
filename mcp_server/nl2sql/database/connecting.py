"""Connections that read: `default_transaction_read_only` is asked for as they are opened.

It stands in the startup message and not in a SET. Behind a pooler that gives a server connection to
whoever begins the next transaction, a SET would outlive its caller and make others read-only. Such
a pooler refuses the option or ignores it; then the READ ONLY transactions alone are left, in which
everything runs anyhow.
"""

import asyncio
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mcp_server.nl2sql.errors import UnsupportedServerError

Dsn: TypeAlias = str | Callable[[], str]
"""A libpq connection string, or what gives one for each new connection (a token is in it)."""

READ_ONLY = "-c default_transaction_read_only=on"
OLDEST_SERVER = 16
"""The guard knows the query trees from this major version of PostgreSQL on."""

# What PgBouncer, RDS Proxy and others say to a startup message with options.
_REFUSED_OPTIONS = re.compile(r"startup parameter|command-line options", re.IGNORECASE)
_without_options: set[tuple[str, ...]] = set()  # servers that refused them
_SERVER = ("host", "hostaddr", "port", "dbname", "service")


SECRETS = ("password", "sslpassword", "oauth_client_secret")
NOT_UNDERSTOOD = (
    "that is no connection string which libpq understands (it is not shown, for it may hold a "
    "password). The form is postgresql://USER@HOST:PORT/DATABASE, with characters other than "
    "letters, digits and -._~ in user and password written as %XX"
)


def facts_of(dsn: str) -> dict[str, Any] | None:
    """What a connection string says; None where it is none, or hides a part of a password.

    What libpq says of a malformed one quotes it, so that is not passed on.
    """
    try:
        facts = conninfo_to_dict(dsn)
    except psycopg.Error:
        return None
    hosts, ports = str(facts.get("host") or ""), str(facts.get("port") or "")
    # A password with @, : or / in it makes libpq take its end for a host or port.
    if not re.fullmatch(r"[^@]*|/.*", hosts) or not re.fullmatch(r"[0-9,]*", ports):
        return None
    return facts


def conninfo(dsn: Dsn) -> str:
    """The connection string for a connection that is made now."""
    return dsn if isinstance(dsn, str) else dsn()


def connect_to_read(
    dsn: Dsn, connection: type[psycopg.Connection[Any]] = psycopg.Connection, **kwargs: Any
) -> Any:
    """A connection in autocommit mode whose transactions read, unless they say otherwise.

    connection: its class. Raises psycopg.Error, without a secret in its text, and
    UnsupportedServerError for a server that is too old.
    """
    attempts = _Attempts(conninfo(dsn))
    settings = {"autocommit": True, "prepare_threshold": None, **kwargs}
    with attempts.saying_no_secret():
        try:
            conn = connection.connect(attempts.first, **settings)
        except psycopg.OperationalError as error:
            if not attempts.options_are_refused(error):
                raise
            conn = connection.connect(attempts.dsn, **settings)
    try:
        expect_version(conn)
    except UnsupportedServerError:
        conn.close()
        raise
    return conn


async def aconnect_to_read(
    dsn: Dsn,
    connection: type[psycopg.AsyncConnection[Any]] = psycopg.AsyncConnection,
    **kwargs: Any,
) -> Any:
    """As `connect_to_read`: an asynchronous connection, of the class `connection`."""
    attempts = _Attempts(dsn if isinstance(dsn, str) else await asyncio.to_thread(dsn))
    settings = {"autocommit": True, "prepare_threshold": None, **kwargs}
    with attempts.saying_no_secret():
        try:
            conn = await connection.connect(attempts.first, **settings)
        except psycopg.OperationalError as error:
            if not attempts.options_are_refused(error):
                raise
            conn = await connection.connect(attempts.dsn, **settings)
    try:
        expect_version(conn)
    except UnsupportedServerError:
        await conn.close()
        raise
    return conn


def expect_version(conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> None:
    """Raise UnsupportedServerError for a server whose query trees the guard cannot read."""
    if conn.info.server_version < OLDEST_SERVER * 10_000:
        raise UnsupportedServerError(
            f"the server is PostgreSQL {conn.info.server_version // 10_000}: the guard of reads "
            f"needs {OLDEST_SERVER} or newer"
        )


class _Attempts:
    """How a connection is tried: with the option, and without it where that is refused.

    Raises psycopg.ProgrammingError for what is no connection string.
    """

    def __init__(self, dsn: str) -> None:
        facts = facts_of(dsn)
        if facts is None:
            raise psycopg.ProgrammingError(NOT_UNDERSTOOD)
        self.dsn = self.first = dsn
        self._secrets = [str(facts[name]) for name in SECRETS if facts.get(name)]
        self._server = tuple(str(facts.get(name, "")) for name in _SERVER)
        if self._server not in _without_options:
            options = facts.get("options") or os.environ.get("PGOPTIONS", "")
            self.first = make_conninfo(dsn, options=f"{options} {READ_ONLY}".lstrip())

    def options_are_refused(self, error: psycopg.OperationalError) -> bool:
        """Whether that is why no connection came of it; from then on they are not sent there."""
        if self.first == self.dsn or not _REFUSED_OPTIONS.search(str(error)):
            return False
        _without_options.add(self._server)
        return True

    @contextmanager
    def saying_no_secret(self) -> Iterator[None]:
        """Take secrets out of what is said when there is no connection."""
        try:
            yield
        except psycopg.Error as error:
            said = str(error)
            for secret in self._secrets:
                said = said.replace(secret, "[hidden]")
            if said == str(error):
                raise
            raise type(error)(said) from None
