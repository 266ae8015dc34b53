"""Whose rows, and where: the schema and the tenant that every statement names.

Statements are written with `{schema}`, and `{thread}` for the key of a thread by tenant and id.
"""

import re
from dataclasses import dataclass, field
from typing import LiteralString

from psycopg import sql

from memory.errors import ConfigurationError

LONGEST_IDENTIFIER_BYTES = 63
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# A thread that is deleted or has expired does not exist.
THREAD_KEY = sql.SQL(
    "(select thread_key from {schema}.memory_threads where tenant = %s and thread_id = %s"
    " and deleted_at is null and (expires_at is null or expires_at > now()))"
)


def require_identifier(what: str, name: str) -> None:
    """Raise ConfigurationError for a name that PostgreSQL would refuse, or cut to another one's."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 0 < size <= LONGEST_IDENTIFIER_BYTES or _UNSTORABLE.search(name):
        raise ConfigurationError(
            f"{what} {name!r} is not a PostgreSQL identifier (1 to 63 bytes of text)"
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """schema: where the tables are. tenant: '' when there is only one."""

    schema: str
    tenant: str
    identifier: sql.Identifier = field(init=False, repr=False)
    _rendered: dict[LiteralString, bytes] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        require_identifier("schema", self.schema)
        if _UNSTORABLE.search(self.tenant):
            raise ConfigurationError(
                f"the tenant {self.tenant!r} contains NUL or half of a surrogate pair, which "
                "PostgreSQL cannot hold"
            )
        object.__setattr__(self, "identifier", sql.Identifier(self.schema))

    def render(self, statement: LiteralString) -> bytes:
        """A statement with `{schema}` filled in, rendered once."""
        rendered = self._rendered.get(statement)
        if rendered is None:
            template = sql.SQL(statement)
            rendered = template.format(schema=self.identifier, thread=self._thread).as_bytes()
            self._rendered[statement] = rendered
        return rendered

    @property
    def _thread(self) -> sql.Composed:
        return THREAD_KEY.format(schema=self.identifier)
