"""Embedding items that are there already, in bounded batches."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import structlog

from memory.database.scope import Scope
from memory.database.steps import Execute, FetchAll, Steps
from memory.database.vectors import VECTORS_A_STATEMENT, array
from memory.encoding.codec import Codec
from memory.encoding.ids import original, storable
from memory.errors import AgentMemoryError
from memory.store.index import Index
from memory.store.items import INSERT_VECTORS, item_value
from memory.words import cleaned, configurations

log = structlog.get_logger(__name__)

PAGE: LiteralString = """select i.item_key, i.updated_at, i.value, i.sealed, i.key
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
    """Items as they were seen, with their texts by field.

    unreadable: these keep the vectors that they have, and stop no other.
    """

    seen: Mapping[int, datetime]
    texts: Sequence[tuple[int, str, str]]
    unreadable: AbstractSet[int]

    def distinct(self) -> list[str]:
        """The texts to embed."""
        return list(dict.fromkeys(text for _, _, text in self.texts))


def page(
    scope: Scope, codec: Codec, index: Index, after: int, everything: bool, batch: int
) -> Steps[Page]:
    """The next items after a key: all of them, or those without a vector."""
    rows = yield FetchAll(scope.render(PAGE), (scope.tenant, after, everything, batch))
    texts: list[tuple[int, str, str]] = []
    unreadable: set[int] = set()
    for item_key, _, value, sealed, key in rows:
        try:
            found = item_value(codec, value, sealed)
        except AgentMemoryError as error:
            log.warning("memory.left_out", what="item", key=original(key), error=str(error))
            unreadable.add(item_key)
            continue
        texts += [(item_key, name, text) for name, text in index.texts(found, None)]
    return Page({row[0]: row[1] for row in rows}, texts, unreadable)


def write(
    scope: Scope, index: Index, found: Page, vectors: Mapping[str, Sequence[float]]
) -> Steps[int]:
    """Give items their vectors, except those that changed since; how many got some."""
    keys, times = list(found.seen), list(found.seen.values())
    rows = yield FetchAll(scope.render(LOCK), (keys, times))
    held = {row[0] for row in rows} - found.unreadable
    if not held:
        return 0
    yield Execute(scope.render(DELETE), (list(held),))
    texts = [(key, name, text) for key, name, text in found.texts if key in held]
    for start in range(0, len(texts), VECTORS_A_STATEMENT):
        some = texts[start : start + VECTORS_A_STATEMENT]
        statement = INSERT_VECTORS.format(
            schema=scope.identifier, vectors=array(len(some), index.query_type)
        )
        parameters: tuple[Any, ...] = (
            [key for key, _, _ in some],
            [storable(name) for _, name, _ in some],
            *(index.parameter(vectors[text]) for _, _, text in some),
        )
        yield FetchAll(statement, parameters)
    texts_of: dict[int, list[str]] = {}
    for key, _, text in texts:
        texts_of.setdefault(key, []).append(text)
    if index.hybrid and texts_of:
        words = [" ".join(each) for each in texts_of.values()]
        languages = [configurations(index.language, each)[-1] for each in words]
        parameters = (list(texts_of), [cleaned(each) for each in words], languages)
        yield Execute(scope.render(SEARCH), parameters)
    return len(texts_of)
