"""Documents as rows: adding and replacing them, and removing them."""

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from memory.database.steps import CopyIn, Execute, FetchAll, Steps
from memory.database.vectors import array, binary, parameter
from memory.documents.table import Opened
from memory.encoding.ids import storable
from memory.encoding.jsonsafe import escaped, plain
from memory.errors import ConfigurationError
from memory.words import AUTO, MOST_CHARACTERS, configurations

COPY_FROM_ROWS = 24
_CANNOT = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class NewDocument:
    """One row to be stored."""

    id: str
    content: str
    metadata: Mapping[str, Any]
    embedding: Sequence[float]


def new_documents(
    texts: Sequence[str],
    embeddings: Sequence[Sequence[float]],
    metadatas: Sequence[Mapping[str, Any]] | None,
    ids: Sequence[str | None] | None,
) -> list[NewDocument]:
    """Rows with ids made up where they are missing; of several with one id the last counts."""
    for what, values in (("embeddings", embeddings), ("metadatas", metadatas), ("ids", ids)):
        if values is not None and len(values) != len(texts):
            raise ConfigurationError(f"{len(texts)} texts, but {len(values)} {what}")
    for number, text in enumerate(texts):
        if _CANNOT.search(text):
            raise ConfigurationError(
                f"text {number} contains a NUL character or half of a surrogate pair, which "
                "PostgreSQL's text cannot hold; replace it first"
            )
    for key in ids or ():
        if key is not None and _CANNOT.search(str(key)):
            raise ConfigurationError(
                f"the id {str(key)!r} contains a NUL character or half of a surrogate pair, which "
                "PostgreSQL's text cannot hold"
            )
    return [
        NewDocument(
            str(uuid.uuid4()) if ids is None or ids[n] is None else str(ids[n]),
            text,
            (metadatas[n] if metadatas else None) or {},
            embeddings[n],
        )
        for n, text in enumerate(texts)
    ]


def possible(ids: Iterable[Any]) -> list[str]:
    """The ids that a row can have."""
    return [key for key in map(str, ids) if not _CANNOT.search(key)]


def store(table: Opened, documents: Sequence[NewDocument], language: str) -> Steps[None]:
    """Insert or replace rows: through a binary COPY if they are many; one transaction."""
    latest = {document.id: document for document in documents}.values()
    rows = [_columns(table, document, language) for document in latest]
    if not rows:
        return
    vectors = [document.embedding for document in latest]
    vector_type = sql.SQL("halfvec" if table.vector_type == "halfvec" else "vector")
    names = [sql.Identifier(f"c{n}") for n in range(len(rows[0]))]
    if len(rows) < COPY_FROM_ROWS:
        source: sql.Composable = sql.SQL("unnest({}, {}) as s ({}, embedding)").format(
            sql.SQL(", ").join([sql.SQL("%s::text[]")] * len(names)),
            array(len(vectors), vector_type),
            sql.SQL(", ").join(names),
        )
        parameters: list[Any] = [list(column) for column in zip(*rows, strict=True)]
        parameters += [parameter(vector, table.vector_type) for vector in vectors]
        yield Execute(_insert(table, names, source, vector_type, language), parameters)
        return
    yield Execute(
        sql.SQL(
            "create temporary table borealis_load ({}, embedding vector) on commit drop"
        ).format(sql.SQL(", ").join(sql.SQL("{} text").format(name) for name in names))
    )
    yield CopyIn(sql.SQL("copy borealis_load from stdin (format binary)"), _binary(rows, vectors))
    yield Execute(_insert(table, names, sql.SQL("borealis_load s"), vector_type, language))


def _columns(table: Opened, document: NewDocument, language: str) -> list[str | None]:
    """A row's values as text: id, content, metadata columns, JSON, and the content's language."""
    rest = plain(document.metadata)
    values: list[str | None] = [document.id, document.content]
    for name in table.layout.metadata_columns:
        value = rest.pop(name, None)
        if isinstance(value, (list, tuple)) and table.types[name].endswith("[]"):
            value = _array_literal(value)
        elif isinstance(value, (dict, list)):
            value = json.dumps(escaped(value))
        values.append(None if value is None else storable(str(value)))
    if table.json is not None:
        try:
            values.append(json.dumps(escaped(rest), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"the metadata of document {document.id} is not JSON: {error}"
            ) from error
    # Which words the content has depends on its language, which is seen here.
    values.append(configurations(language, document.content)[-1])
    return values


def _array_literal(values: Sequence[Any]) -> str:
    """A PostgreSQL array as text."""
    parts = []
    for value in values:
        if value is None:
            parts.append("null")
        elif isinstance(value, (list, tuple)):
            parts.append(_array_literal(value))
        else:
            quoted = str(value).replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'"{quoted}"')
    return "{" + ",".join(parts) + "}"


def _insert(
    table: Opened,
    names: Sequence[sql.Identifier],
    source: sql.Composable,
    vector_type: sql.SQL,
    language: str,
) -> sql.Composed:
    layout = table.layout
    targets = [layout.id, layout.content, *layout.metadata_columns]
    targets += [] if table.json is None else [table.json]
    values: list[sql.Composable] = [
        sql.SQL("s.{}::{}").format(name, sql.SQL(table.kinds[target]))
        for name, target in zip(names[:-1], targets, strict=True)
    ]
    targets.append(layout.embedding)
    values.append(sql.SQL("s.embedding::{}").format(vector_type))
    if table.tsv is not None:
        targets.append(table.tsv)
        start = sql.SQL("left(s.{}, {})").format(names[1], sql.Literal(MOST_CHARACTERS))
        words = sql.SQL("to_tsvector(s.{}::regconfig, {})").format(names[-1], start)
        if language == AUTO:
            words = sql.SQL("to_tsvector('simple', {}) || {}").format(start, words)
        values.append(words)
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(target)) for target in targets[1:]
    )
    return sql.SQL(
        "insert into {} ({}) select {} from {} on conflict ({}) do update set {}"
    ).format(
        layout.name,
        sql.SQL(", ").join(map(sql.Identifier, targets)),
        sql.SQL(", ").join(values),
        source,
        sql.Identifier(layout.id),
        changes,
    )


def _binary(rows: Sequence[Sequence[str | None]], vectors: Sequence[Sequence[float]]) -> bytes:
    """Rows of text columns and a vector in PostgreSQL's binary COPY format.

    Source: PostgreSQL documentation, "COPY: Binary Format".
    """
    count = (len(rows[0]) + 1).to_bytes(2, "big")
    parts = [b"PGCOPY\n\xff\r\n\0", bytes(8)]
    for row, vector in zip(rows, vectors, strict=True):
        parts.append(count)
        for value in (*row, binary(vector)):
            if value is None:
                parts.append(b"\xff\xff\xff\xff")
            else:
                data = value.encode() if isinstance(value, str) else value
                parts += (len(data).to_bytes(4, "big"), data)
    parts.append(b"\xff\xff")
    return b"".join(parts)


def remove(
    table: Opened, ids: Sequence[str] | None, filter: Mapping[str, Any] | None
) -> Steps[None]:
    """Delete rows by id, by filter, or by both."""
    conditions: list[sql.Composable] = []
    parameters: list[Any] = []
    if ids is not None:
        conditions.append(
            sql.SQL("d.{}::text = any(%s::text[])").format(sql.Identifier(table.layout.id))
        )
        parameters.append(possible(ids))
    if filter:
        condition, extra = table.fields.condition(filter)
        conditions.append(condition)
        parameters += extra
    statement = sql.SQL("delete from {} d where {} returning 1").format(
        table.layout.name, sql.SQL(" and ").join(conditions)
    )
    yield FetchAll(statement, parameters)
