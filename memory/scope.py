"""Whose rows, and where: the schema and the tenant that every statement names."""

from dataclasses import dataclass, field

from psycopg import sql

from memory.errors import ConfigurationError

LONGEST_IDENTIFIER_BYTES = 63


@dataclass(frozen=True, slots=True)
class Scope:
    """schema: where the tables are. tenant: '' when there is only one."""

    schema: str
    tenant: str
    identifier: sql.Identifier = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.schema.encode()) <= LONGEST_IDENTIFIER_BYTES or "\0" in self.schema:
            raise ConfigurationError(
                f"schema {self.schema!r} is not a PostgreSQL identifier (1 to 63 bytes)"
            )
        if "\0" in self.tenant:
            raise ConfigurationError("a tenant may not contain NUL characters")
        object.__setattr__(self, "identifier", sql.Identifier(self.schema))

    def sql(self, statement: sql.SQL) -> sql.Composed:
        """A statement with `{schema}` filled in."""
        return statement.format(schema=self.identifier)
