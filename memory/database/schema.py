"""Components as numbered migrations, and the steps that bring a schema up to date."""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from memory.database.steps import Execute, FetchAll, FetchOne, Steps
from memory.errors import ConfigurationError, NewerSchemaError

DEFAULT_SCHEMA = "borealis"
MOST_PARTITIONS = 1024


@dataclass(frozen=True, slots=True)
class Component:
    """A set of tables that one class needs: its name and its migrations, oldest first.

    partitioned: tables that the first migration makes with `{partitioning}`.
    toast_targets: tables whose rows move to TOAST at another length than PostgreSQL's, in bytes.
    """

    name: str
    migrations: tuple[LiteralString, ...]
    partitioned: tuple[str, ...] = ()
    toast_targets: tuple[tuple[str, int], ...] = ()


SELECT_VERSION = sql.SQL("select max(version) from {schema}.memory_migrations where component = %s")
SELECT_TABLE = sql.SQL("select to_regclass(%s) is not null")
CREATE_MIGRATIONS = sql.SQL(
    """create table if not exists {schema}.memory_migrations (
        component text not null, version integer not null,
        applied_at timestamptz not null default now(), primary key (component, version))"""
)
INSERT_VERSION = sql.SQL(
    "insert into {schema}.memory_migrations (component, version) values (%s, %s)"
)


def installed_version(schema: str, component: Component) -> Steps[int]:
    """The number of applied migrations; 0 if there are none, or no such schema."""
    regclass = sql.Identifier(schema, "memory_migrations").as_string()
    present = yield FetchOne(SELECT_TABLE, (regclass,))
    if not present[0]:
        return 0
    row = yield FetchOne(SELECT_VERSION.format(schema=sql.Identifier(schema)), (component.name,))
    return row[0] or 0


def install(schema: str, component: Component, *, partitions: int = 0) -> Steps[None]:
    """Bring one component of a schema up to date; to be run as one transaction.

    Any number of processes may do so at once: an advisory lock lets one through at a time, and
    PostgreSQL's DDL is transactional, so that each finds either the old schema or the new one.

    partitions: at the first installation, partition the component's tables by hash of the thread
        into that many (0: do not).
    """
    if not 0 <= partitions <= MOST_PARTITIONS or partitions == 1:
        raise ConfigurationError(
            f"partitions is {partitions}; it must be 0 (none) or from 2 to {MOST_PARTITIONS}"
        )
    name = sql.Identifier(schema)
    yield FetchOne(
        "select pg_advisory_xact_lock(hashtextextended('borealis.memory:' || %s, 4715))", (schema,)
    )
    exists = yield FetchOne(
        "select exists (select from pg_namespace where nspname = %s)", (schema,)
    )
    if not exists[0]:
        yield Execute(sql.SQL("create schema {}").format(name))
    yield Execute(CREATE_MIGRATIONS.format(schema=name))
    version = yield from installed_version(schema, component)
    if version > len(component.migrations):
        raise NewerSchemaError(
            f"schema {schema!r} has version {version} of {component.name}; this package knows "
            f"{len(component.migrations)}. Upgrade the package"
        )
    clause = sql.SQL("partition by hash (thread_key)" if partitions else "")
    for number in range(version, len(component.migrations)):
        migration = sql.SQL(component.migrations[number])
        yield Execute(migration.format(schema=name, partitioning=clause))
        if number == 0:
            yield from _first(schema, component, partitions)
        yield FetchAll(
            sql.SQL("{} returning 1").format(INSERT_VERSION.format(schema=name)),
            (component.name, number + 1),
        )


def _first(schema: str, component: Component, partitions: int) -> Steps[None]:
    """What the first migration of a component leaves open: partitions, and storage of rows."""
    for table in component.partitioned if partitions else ():
        yield from _partition(schema, table, partitions)
    for table, target in component.toast_targets:
        for leaf in _leaves(table, partitions):
            yield Execute(
                sql.SQL("alter table {} set (toast_tuple_target = {})").format(
                    sql.Identifier(schema, leaf), sql.Literal(target)
                )
            )


def _leaves(table: str, partitions: int) -> list[str]:
    return [f"{table}_{remainder}" for remainder in range(partitions)] or [table]


def _partition(schema: str, table: str, partitions: int) -> Steps[None]:
    for remainder, leaf in enumerate(_leaves(table, partitions)):
        yield Execute(
            sql.SQL(
                "create table {} partition of {} for values with (modulus {}, remainder {})"
            ).format(
                sql.Identifier(schema, leaf),
                sql.Identifier(schema, table),
                sql.Literal(partitions),
                sql.Literal(remainder),
            )
        )
