"""Embedding items that are there already, in bounded batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from memory.database.scope import Scope
from memory.database.steps import Execute, FetchAll, Steps
from memory.database.vectors import array
from memory.encoding.codec import Codec
from memory.encoding.ids import storable
from memory.store.index import Index
from memory.store.items import INSERT_VECTORS, item_value
from memory.words import SIMPLE, cleaned, configurations

PAGE: LiteralString = """select i.item_key, i.updated_at, i.value, i.sealed
    from {schema}.memory_items i join {schema}.memory_namespaces n using (ns_key)
    where n.tenant = %s and i.item_key > %s
    and (%s or not exists (
        select from {schema}.memory_vectors v where v.item_key = i.item_key))
    order by i.item_key limit %s"""
LOCK: LiteralString = """select i.item_key from {schema}.memory_items i
    join unnest(%b::bigint[], %s::timestamptz[]) as n (item_key, updated_at)
    using (item_key, updated_at) order by i.item_key for update of i"""
DELETE: LiteralString = "delete from {schema}.memory_vectors where item_key = any(%b::bigint[])"
SEARCH: LiteralString = """update {schema}.memory_items i
    set search = to_tsvector('simple', n.words)
        || case when n.language = 'simple' then ''
           else to_tsvector(n.language::regconfig, n.words) end
    from unnest(%b::bigint[], %s::text[], %s::text[]) as n (item_key, words, language)
    where i.item_key = n.item_key"""


@dataclass(frozen=True, slots=True)
class Page:
    """Items as they were seen, with their texts by field."""

    seen: Mapping[int, datetime]
    texts: Sequence[tuple[int, str, str]]

    def distinct(self) -> list[str]:
        """The texts to embed."""
        return list(dict.fromkeys(text for _, _, text in self.texts))


def page(
    scope: Scope, codec: Codec, index: Index, after: int, everything: bool, batch: int
) -> Steps[Page]:
    """The next items after a key: all of them, or those without a vector."""
    rows = yield FetchAll(scope.render(PAGE), (scope.tenant, after, everything, batch))
    texts = [
        (item_key, name, text)
        for item_key, _, value, sealed in rows
        for name, text in index.texts(item_value(codec, value, sealed), None)
    ]
    return Page({row[0]: row[1] for row in rows}, texts)


def write(
    scope: Scope, index: Index, found: Page, vectors: Mapping[str, Sequence[float]]
) -> Steps[int]:
    """Give items their vectors, except those that changed since; how many got some."""
    keys, times = list(found.seen), list(found.seen.values())
    rows = yield FetchAll(scope.render(LOCK), (keys, times))
    held = {row[0] for row in rows}
    texts = [(key, name, text) for key, name, text in found.texts if key in held]
    if not texts:
        return 0
    yield Execute(scope.render(DELETE), (list(held),))
    statement = INSERT_VECTORS.format(
        schema=scope.identifier, vectors=array(len(texts), index.query_type)
    )
    parameters: tuple[Any, ...] = (
        [key for key, _, _ in texts],
        [storable(name) for _, name, _ in texts],
        *(index.parameter(vectors[text]) for _, _, text in texts),
    )
    yield FetchAll(statement, parameters)
    embedded = list(dict.fromkeys(key for key, _, _ in texts))
    if index.hybrid:
        words = {key: " ".join(t for k, _, t in texts if k == key) for key in embedded}
        yield Execute(
            scope.render(SEARCH),
            (
                embedded,
                [cleaned(words[key]) for key in embedded],
                [(configurations(index.language, words[key]) or [SIMPLE])[-1] for key in embedded],
            ),
        )
    return len(embedded)
