"""Going over the rows of a table in bounded batches: unfit metadata, new embeddings."""

import json
from collections.abc import Sequence

from psycopg import sql

from memory.database.steps import Execute, FetchAll, Steps
from memory.database.vectors import VECTORS_A_STATEMENT, array, parameter
from memory.documents.table import Opened
from memory.encoding.jsonsafe import escaped, is_fit

BATCH = 500
# As JSON writes what jsonb refuses: NUL, and halves of surrogate pairs (whole ones are kept).
UNFIT = r"\\u0000|\\u[dD][89abcdefABCDEF]"


def unfit(table: Opened, after: str) -> Steps[list[tuple[str, str]]]:
    """Ids and new metadata of rows that jsonb cannot hold, in the order of ids as text."""
    assert table.json is not None
    found: list[tuple[str, str]] = []
    while not found:
        rows = yield FetchAll(
            sql.SQL(
                'select d.{id}::text collate "C", d.{json}::text from {name} d'
                ' where d.{id}::text collate "C" > %s and d.{json}::text ~ %s'
                ' order by d.{id}::text collate "C" limit %s'
            ).format(
                id=sql.Identifier(table.layout.id),
                json=sql.Identifier(table.json),
                name=table.layout.name,
            ),
            (after, UNFIT, BATCH),
        )
        if not rows:
            break
        after = rows[-1][0]
        for key, text in rows:
            value = json.loads(text)
            if not is_fit(value):
                found.append((key, json.dumps(escaped(value))))
    return found


def mend(table: Opened, rows: Sequence[tuple[str, str]]) -> Steps[None]:
    """Store metadata again, as the database can read it."""
    assert table.json is not None
    yield Execute(
        sql.SQL(
            "update {name} d set {json} = s.fit::json from unnest(%s::text[], %s::text[])"
            " as s (id, fit) where d.{id}::text = s.id"
        ).format(
            id=sql.Identifier(table.layout.id),
            json=sql.Identifier(table.json),
            name=table.layout.name,
        ),
        ([key for key, _ in rows], [text for _, text in rows]),
    )


def contents(table: Opened, after: str, batch: int) -> Steps[list[tuple[str, str]]]:
    """Ids and texts after an id, in the order of ids as text."""
    rows: list[tuple[str, str]] = yield FetchAll(
        sql.SQL(
            'select d.{id}::text collate "C", d.{content} from {name} d'
            ' where d.{id}::text collate "C" > %s order by 1 limit %s'
        ).format(
            id=sql.Identifier(table.layout.id),
            content=sql.Identifier(table.layout.content),
            name=table.layout.name,
        ),
        (after, batch),
    )
    return rows


def replace_vectors(
    table: Opened,
    rows: Sequence[tuple[str, str]],
    vectors: Sequence[Sequence[float]],
) -> Steps[None]:
    """Give rows new vectors; one whose text changed meanwhile has its own already."""
    vector_type = sql.SQL("halfvec" if table.vector_type == "halfvec" else "vector")
    for start in range(0, len(rows), VECTORS_A_STATEMENT):
        some = rows[start : start + VECTORS_A_STATEMENT]
        yield Execute(
            sql.SQL(
                "update {name} d set {embedding} = s.embedding from"
                " unnest(%s::text[], %s::text[], {vectors}) as s (id, content, embedding)"
                " where d.{id}::text = s.id and d.{content} = s.content"
            ).format(
                id=sql.Identifier(table.layout.id),
                content=sql.Identifier(table.layout.content),
                embedding=sql.Identifier(table.layout.embedding),
                name=table.layout.name,
                vectors=array(len(some), vector_type),
            ),
            (
                [key for key, _ in some],
                [content for _, content in some],
                *(
                    parameter(vector, table.vector_type)
                    for vector in vectors[start : start + VECTORS_A_STATEMENT]
                ),
            ),
        )
