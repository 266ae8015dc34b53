"""Names of roles, databases and settings, whatever bytes they are.

They are shared by all databases of a cluster, and bytes in the encoding of the one where they were
given. So `create role` in a database of LATIN1 or SQL_ASCII makes a name that is no UTF-8 to the
runtime's sessions: it is read with such bytes escaped (PEP 383), and a statement that names it is
put together in the server, for none that is sent may have these bytes in it.

Source: PostgreSQL documentation, "Character Set Support"; `utils/mb/mbutils.c` (pg_any_to_server).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader

_CATALOGS: dict[str, LiteralString] = {
    "role": "select pg_catalog.quote_ident(rolname) from pg_catalog.pg_authid where oid",
    "database": "select pg_catalog.quote_ident(datname) from pg_catalog.pg_database where oid",
    "parameter": "select pg_catalog.quote_ident(parname) from pg_catalog.pg_parameter_acl "
    "where oid",
}
_TEXTS, _DOCUMENTS = ("text", "name", "varchar"), ("json", "jsonb")


@dataclass(frozen=True, slots=True)
class Named:
    """One that is there. kind: `role`, `database`, or `parameter`, which somebody has rights on.

    name: as it was read.
    """

    kind: str
    oid: int
    name: str

    @property
    def in_the_server(self) -> sql.Composed:
        """An expression whose value is its name, quoted."""
        return sql.SQL("({} operator(pg_catalog.=) {})").format(
            sql.SQL(_CATALOGS[self.kind]), sql.Literal(self.oid)
        )


def is_utf8(name: str) -> bool:
    """Whether a name that was read can be sent."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def shown(name: str) -> str:
    """A name in a text for people, in quotes."""
    return repr(name) if is_utf8(name) else ascii(name)


def sayable(text: str) -> str:
    """A text of the server's with names in it, for people."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def naming(statement: LiteralString, *names: Named | str) -> sql.Composed:
    """A statement with names for its `{}`. A `str` is one that is to be given."""
    if all(isinstance(each, str) or is_utf8(each.name) for each in names):
        given = [each if isinstance(each, str) else each.name for each in names]
        return sql.SQL(statement).format(*map(sql.Identifier, given))
    values = [
        sql.Literal(sql.Identifier(each).as_string())
        if isinstance(each, str)
        else each.in_the_server
        for each in names
    ]
    return sql.SQL("do {}").format(sql.Literal(_composing(statement, values)))


def read_any_name(session: psycopg.AsyncConnection[Any]) -> None:
    """Have a session read texts that are no UTF-8 with their bytes escaped."""
    for name in _TEXTS:
        session.adapters.register_loader(name, _TextLoader)
    for name in _DOCUMENTS:
        session.adapters.register_loader(name, _JsonLoader)


def _composing(statement: LiteralString, values: Sequence[sql.Composable]) -> str:
    composed = sql.SQL("begin execute pg_catalog.format({}, {}); end").format(
        sql.Literal(statement.replace("{}", "%s")), sql.SQL(", ").join(values)
    )
    return composed.as_string()


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "surrogateescape")


class _JsonLoader(_TextLoader):
    def load(self, data: Buffer) -> Any:
        return json.loads(super().load(data))
