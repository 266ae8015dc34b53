"""Keeping tenants apart: a schema for each, or one schema with row-level security.

*A schema for each tenant* (`schema="tenant_a"`): separate tables, separate grants, dropped as a
whole. *One schema* (`tenant="a"`): every statement names the tenant, and row-level security
hides the rows of others even from a statement that forgot to. Policies do not bind the owner of a
table, so connect as a role that owns nothing: `grant` gives one what it needs, and no more.

The tenant is the setting `borealis.tenant`, set for each transaction; without it the rows of
tenant '' are seen. A role could set it to another tenant itself: this separation is against
mistakes in SQL, not against a client that picks its own statements. For that, give each tenant a
schema and a role of its own.
"""

from psycopg import sql

from memory.database.connections import ConnectionSource
from memory.database.driver import Driver
from memory.database.schema import DEFAULT_SCHEMA
from memory.database.steps import Execute, Steps, attempt


def grant(source: ConnectionSource, role: str, *, schema: str = DEFAULT_SCHEMA) -> None:
    """Let an existing role use the memory tables of a schema, under row-level security.

    source connects as the owner of the tables, after `setup()`. The role can read and write rows;
    it cannot change, truncate or drop tables, and cannot run `setup()`.
    """
    driver = Driver(source)
    try:
        driver.run(attempt(lambda: _grant(role, schema), transaction=True))
    finally:
        driver.close()


def _grant(role: str, schema: str) -> Steps[None]:
    for template in (
        "grant usage on schema {schema} to {role}",
        "grant select, insert, update, delete on all tables in schema {schema} to {role}",
        "revoke insert, update, delete on {schema}.memory_migrations from {role}",
        "grant usage on all sequences in schema {schema} to {role}",
        "grant execute on all functions in schema {schema} to {role}",
    ):
        yield Execute(
            sql.SQL(template).format(schema=sql.Identifier(schema), role=sql.Identifier(role))
        )
