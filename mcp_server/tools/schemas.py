"""Tools that show what is in a database, from pg_catalog."""

from typing import Annotated, Any

from psycopg.rows import dict_row
from pydantic import Field

from mcp_server.errors import SqlRefusedError
from mcp_server.nl2sql.database.catalog import Relation, user_relations
from mcp_server.nl2sql.database.names import table_message
from mcp_server.nl2sql.database.steps import arun
from mcp_server.results import (
    ColumnDescription,
    ForeignKey,
    SchemaList,
    SchemaSummary,
    TableDescription,
    TableList,
)
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import describing
from mcp_server.tools import catalog_queries as catalog
from mcp_server.tools.arguments import ClusterName, DatabaseName
from mcp_server.tools.definition import Effect, Reach, tool
from mcp_server.tools.platform import Call
from mcp_server.tools.toolsets import Toolset

LIMITS = limits_of_a_call()


@tool(title="List schemas", toolset=Toolset.SCHEMA, effect=Effect.READS, reach=Reach.DATABASE)
async def list_schemas(
    call: Call, cluster: ClusterName, database: DatabaseName = None
) -> SchemaList:
    """List the schemas of a database, with the number of tables, and the installed extensions.

    Start here to find out what a cluster holds; describe_tables goes on from there.
    """
    handle = await call.database(cluster)
    async with describing(handle, database, LIMITS) as connection:
        rows = connection.cursor(row_factory=dict_row)
        schemas = [SchemaSummary(**row) async for row in await rows.execute(catalog.SCHEMAS)]
        (current,) = await (await rows.execute(catalog.DATABASE)).fetchall()
        return SchemaList(cluster=handle.identifier, schemas=schemas, **current)


@tool(title="Describe tables", toolset=Toolset.SCHEMA, effect=Effect.READS, reach=Reach.DATABASE)
async def describe_tables(
    call: Call,
    cluster: ClusterName,
    tables: Annotated[
        list[str],
        Field(description="Names, each with or without its schema; empty: all tables"),
    ] = [],  # noqa: B006 - never changed; the schema shows it as the default
    schema: Annotated[
        str | None, Field(description="Only this schema; default: all but those of the system")
    ] = None,
    limit: Annotated[
        int, Field(ge=1, le=500, description="Most tables to describe; truncated tells of more")
    ] = 50,
    database: DatabaseName = None,
) -> TableList:
    """Describe tables and views: columns, types, comments, keys, constraints, indexes, row counts.

    Read this before writing SQL: it gives the exact names, and foreign_keys says what to join on.
    """
    handle = await call.database(cluster)
    async with describing(handle, database, LIMITS) as connection:
        rows = connection.cursor(row_factory=dict_row)
        (current,) = await (await rows.execute(catalog.DATABASE)).fetchall()
        wanted = {"schema": schema, "names": tables, "limit": limit + 1}
        found = await (await rows.execute(catalog.TABLES, wanted)).fetchall()
        if missing := _missing(tables, found):
            known = await arun(connection, user_relations())
            raise SqlRefusedError("; ".join(_no_table(name, schema, known) for name in missing))
        kept = found[:limit]
        oids = {"oids": [row["oid"] for row in kept]}
        columns = await (await rows.execute(catalog.COLUMNS, oids)).fetchall()
        constraints = await (await rows.execute(catalog.CONSTRAINTS, oids)).fetchall()
        indexes = await (await rows.execute(catalog.INDEXES, oids)).fetchall()
    return TableList(
        cluster=handle.identifier,
        database=current["database"],
        tables=[_table(row, columns, constraints, indexes) for row in kept],
        truncated=len(found) > limit,
    )


def _missing(wanted: list[str], found: list[dict[str, Any]]) -> list[str]:
    there = {row["name"] for row in found} | {
        f"{row['schema_name']}.{row['name']}" for row in found
    }
    return [name for name in wanted if name not in there]


def _no_table(name: str, schema: str | None, known: list[Relation]) -> str:
    qualifier, _, bare = name.rpartition(".")
    return table_message(qualifier or schema, bare, known)


def _table(
    row: dict[str, Any],
    columns: list[dict[str, Any]],
    constraints: list[dict[str, Any]],
    indexes: list[dict[str, Any]],
) -> TableDescription:
    def own(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {name: value for name, value in fact.items() if name != "table_oid"}
            for fact in facts
            if fact["table_oid"] == row["oid"]
        ]

    keys = own(constraints)
    return TableDescription(
        **{name: value for name, value in row.items() if name != "oid"},
        columns=[ColumnDescription(**column) for column in own(columns)],
        primary_key=next((key["columns"] for key in keys if key["kind"] == "p"), []),
        foreign_keys=[
            ForeignKey(
                columns=key["columns"],
                references=key["references"],
                referenced_columns=key["referenced_columns"],
            )
            for key in keys
            if key["kind"] == "f"
        ],
        constraints=[key["definition"] for key in keys if key["kind"] in "ucx"],
        indexes=[index["definition"] for index in own(indexes)],
    )


TOOLS = (list_schemas, describe_tables)
