"""Databases that are there already: named by a connection string, read, and nothing else.

No role, schema, table or setting is made in them. Connection strings hold secrets: they are shown
in no `repr`, log or error.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import psycopg

from mcp_server.errors import ScopeError
from mcp_server.nl2sql.database.connecting import (
    NOT_UNDERSTOOD,
    SECRETS,
    connect_to_read,
    facts_of,
)
from mcp_server.nl2sql.errors import NL2SQLError

VARIABLE = "BOREALIS_DATABASES"
"""Names connection strings, one a line, where the command line names none."""

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_URI = re.compile(r"postgres(?:ql)?://", re.IGNORECASE)
LOOK_SECONDS = 5


class Database(Protocol):
    """What tools read: a cluster, or a database that is there already."""

    @property
    def id(self) -> str:
        """What is known of it is kept under this."""

    @property
    def identifier(self) -> str:
        """Its name."""

    def dsn(
        self,
        endpoint: str = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
    ) -> str:
        """A connection string for a connection that is made now."""


@dataclass(frozen=True, slots=True)
class ExistingDatabase:
    """A database by its connection string, or by what gives one for each new connection."""

    identifier: str
    conninfo: str | Callable[[], str] = field(repr=False)

    @property
    def id(self) -> str:
        """Its name, which no other database of this server has."""
        return self.identifier

    def dsn(
        self,
        endpoint: str = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
    ) -> str:
        """Its connection string, whoever asks: it has no role of ours and no other endpoint."""
        return self.conninfo if isinstance(self.conninfo, str) else self.conninfo()

    def look(self) -> "Findings":
        """Connect once and see what is there. Raises psycopg.Error and NL2SQLError."""
        with connect_to_read(self.dsn(), connect_timeout=LOOK_SECONDS) as conn:
            row = conn.execute(FINDINGS).fetchone() or ()
            return Findings(*row)


FINDINGS = """
select current_user::pg_catalog.text, r.rolsuper,
       pg_catalog.current_setting('log_min_messages'),
       pg_catalog.has_parameter_privilege('log_min_messages', 'SET')
from pg_catalog.pg_roles r where r.rolname operator(pg_catalog.=) current_user
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a person should know of a database before it is read."""

    role: str
    superuser: bool
    log_min_messages: str
    may_set_log: bool

    @property
    def logs_trees(self) -> bool:
        """Whether the server's log gets what the guard asks the server about each query."""
        return not self.may_set_log and self.log_min_messages not in ("fatal", "panic")

    def remarks(self, name: str) -> Iterator[str]:
        """What to say about it, and what to do."""
        if self.superuser:
            yield (
                f"{name}: role {self.role} is a superuser. Reads run as pg_read_all_data; a role "
                "that may read a few tables and nothing else is the better choice"
            )
        if self.logs_trees:
            yield (
                f"{name}: PostgreSQL's own log gets the query tree of each statement that is read "
                f"(some kB, with its constants), and its text. A superuser keeps that out with: "
                f"alter role {self.role} set log_min_messages = fatal"
            )


class Databases:
    """The databases of one server, by name. Raises ScopeError when two have the same one."""

    def __init__(self, databases: Sequence[ExistingDatabase]) -> None:
        self._by_name = {each.identifier: each for each in databases}
        if len(self._by_name) < len(databases):
            raise ScopeError(
                "two databases have the same name; give each one of its own: --dsn NAME=URI"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, in the order in which they were given."""
        return tuple(self._by_name)

    def database(self, name: str) -> ExistingDatabase:
        """One of them. Raises ScopeError for a name that none has."""
        try:
            return self._by_name[name]
        except KeyError:
            known = ", ".join(self._by_name)
            raise ScopeError(f"no database {name!r} in this server; there are: {known}") from None

    def examine(self, say: Callable[[str], None]) -> None:
        """Look at each, and say what a person should know. One that is away may come later."""
        for database in self._by_name.values():
            try:
                for remark in database.look().remarks(database.identifier):
                    say(remark)
            except (psycopg.Error, NL2SQLError) as error:
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                say(f"{database.identifier}: cannot be read now: {first}")


def given(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Connection strings from the command line or, where it has none, from BOREALIS_DATABASES."""
    lines = environment.get(VARIABLE, "").splitlines()
    return list(arguments) or [line.strip() for line in lines if line.strip()]


def parse(text: str) -> ExistingDatabase:
    """`URI`, `NAME=URI`, or either with libpq's keywords and values in place of a URI.

    Without a name the database's own is taken. Raises ScopeError, which quotes nothing of the text.
    """
    name, dsn = _named(text.strip())
    facts = facts_of(dsn) if dsn else None
    if facts is None:
        raise ScopeError(f"--dsn: {NOT_UNDERSTOOD}")
    found = name or str(facts.get("dbname") or facts.get("service") or "database")
    if not NAME.fullmatch(found):
        if name is not None:
            raise ScopeError(
                f"{name!r} is no name for a database: a letter, then letters, digits, _ and -"
            )
        found = "database"
    return ExistingDatabase(found, dsn)


def has_password(text: str) -> bool:
    """Whether a connection string holds a password: every user of a machine can list arguments."""
    facts = facts_of(_named(text.strip())[1]) or {}
    return any(facts.get(each) for each in SECRETS)


def _named(text: str) -> tuple[str | None, str]:
    if _URI.match(text) or facts_of(text) is not None:
        return None, text
    name, equals, rest = text.partition("=")
    return (name, rest) if equals else (None, text)
