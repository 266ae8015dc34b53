"""Tools that show what is in a database, from pg_catalog."""

from typing import Annotated, Literal

from psycopg.rows import dict_row
from pydantic import Field

from mcp_server.answers.pages import Answer
from mcp_server.catalog import queries, search, showing
from mcp_server.catalog.tables import described, schema_of, tables_named, tables_of
from mcp_server.databases.connections import Connection
from mcp_server.errors import SqlRefusedError
from mcp_server.results import SchemaList, SchemaSummary
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import describing
from mcp_server.toolkit.arguments import ClusterName, DatabaseName
from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset

LIMITS = limits_of_a_call()

SchemaName = Annotated[str | None, Field(description="Only this schema")]


@tool(title="Search the schema", toolset=Toolset.SCHEMA, effect=Effect.READS, reach=Reach.DATABASE)
async def search_schema(
    call: Call,
    cluster: ClusterName,
    query: Annotated[str, Field(min_length=1, max_length=500, description="Words to look for")],
    schema: SchemaName = None,
    limit: Annotated[int, Field(ge=1, le=200, description="Most hits to list")] = 20,
    database: DatabaseName = None,
) -> Answer:
    """Find tables, views, columns, enums, functions and extensions by words of names and comments.

    Start here; describe_tables goes on from what it finds.
    """
    handle = await call.database(cluster)
    words = search.words_of(query)
    if not words:
        raise SqlRefusedError(f"{query!r} has no word in it: letters or digits are looked for")
    async with describing(handle, database, LIMITS) as connection:
        if schema is not None:
            schema = await schema_of(connection, schema)
        asked = {"like": search.patterns(words), "schema": schema}
        hits = [
            search.Hit(kind, of, name, comment, rows, columns=tuple(named), told=tuple(told))
            for of, name, kind, rows, comment, named, told in await (
                await connection.execute(search.relations(len(words)), asked)
            ).fetchall()
        ]
        hits += [
            search.Hit(kind, of, name, comment, more=tuple(each or "" for each in more))
            for kind, of, name, more, comment in await (
                await connection.execute(search.OTHERS, asked)
            ).fetchall()
        ]
        if not hits:
            rows = await (await connection.execute(search.NAMES, {"schema": schema})).fetchall()
            near = search.near(query, [name for (name,) in rows])
            return Answer.lines([f"nothing; nearest: {', '.join(near)}" if near else "nothing"])
    found = search.ranked(hits, words)
    left = len(found) - limit
    notes = ("There are more hits: narrow the words, or raise limit.",) if left > 0 else ()
    return Answer.lines([hit.line for hit in found[:limit]], notes=notes)


@tool(title="List schemas", toolset=Toolset.SCHEMA, effect=Effect.READS, reach=Reach.DATABASE)
async def list_schemas(
    call: Call, cluster: ClusterName, database: DatabaseName = None
) -> SchemaList:
    """List schemas with their numbers of tables, the databases, and the installed extensions."""
    handle = await call.database(cluster)
    async with describing(handle, database, LIMITS) as connection:
        return await overview(connection, handle.identifier)


async def overview(connection: Connection, cluster: str) -> SchemaList:
    """What a database holds, in short."""
    rows = connection.cursor(row_factory=dict_row)
    schemas = [SchemaSummary(**row) async for row in await rows.execute(queries.SCHEMAS)]
    (current,) = await (await rows.execute(queries.DATABASE)).fetchall()
    return SchemaList(cluster=cluster, schemas=schemas, **current)


@tool(title="Describe tables", toolset=Toolset.SCHEMA, effect=Effect.READS, reach=Reach.DATABASE)
async def describe_tables(
    call: Call,
    cluster: ClusterName,
    tables: Annotated[
        list[str], Field(description='Names as SQL writes them, e.g. sales."Order"; default: all')
    ] = [],  # noqa: B006 - never changed; the schema shows it as the default
    schema: SchemaName = None,
    detail: Annotated[
        Literal["names", "compact", "full"],
        Field(description="compact: columns and keys; full: also defaults, constraints, indexes"),
    ] = "compact",
    format: Annotated[Literal["text", "json"], Field(description="text: M-Schema")] = "text",
    limit: Annotated[int, Field(ge=1, le=5000, description="Most tables")] = 50,
    database: DatabaseName = None,
) -> Answer:
    """Describe tables, views and partitions: exact names, types and comments, and what to join on.

    Read this before writing SQL.
    """
    handle = await call.database(cluster)
    full = detail == "full"
    async with describing(handle, database, LIMITS) as connection:
        found = (
            await tables_named(connection, tables, schema)
            if tables
            else await tables_of(connection, schema, limit + 1)
        )
        notes = [f"there are more than {limit} tables: name some, or raise limit."]
        if len(found) <= limit:
            notes = []
        kept = found[:limit]
        if detail == "names":
            return Answer.lines(showing.names(kept) or ["no tables"], notes=tuple(notes))
        name = connection.info.dbname
        known = await described(connection, kept, full=full)
    if left := len(kept) - len(known):
        notes.append(f"{left} tables are left out, for there are too many columns: name them.")
    if format == "text":
        lines = showing.text(name, known, full=full)
        return Answer.lines(lines, notes=tuple(notes))
    return Answer(
        [showing.as_json(table, full=full) for table in known],
        lambda items, _: {
            "database": name,
            "column_fields": showing.FIELDS,
            "tables": list(items),
        },
        tuple(notes),
        fenced=True,
    )


TOOLS = (search_schema, describe_tables, list_schemas)
