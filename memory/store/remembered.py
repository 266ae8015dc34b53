"""What a store remembers, and why: items with their origins, for people to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, LiteralString

from langgraph.store.base import SearchItem

from memory.database.scope import Scope
from memory.database.steps import FetchAll, Steps
from memory.encoding.codec import Codec
from memory.encoding.ids import original, storable
from memory.encoding.unreadable import Unreadable
from memory.errors import AgentMemoryError
from memory.store.items import LIVE, item_value, path_of

FIELDS: LiteralString = """select n.path, i.key, i.value, i.sealed, i.created_at, i.updated_at,
        i.expires_at, case when o.noted_at >= i.updated_at then o.origin end
    from {schema}.memory_items i join {schema}.memory_namespaces n using (ns_key)
    left join {schema}.memory_item_origins o using (item_key)"""
LATEST: LiteralString = (
    FIELDS
    + " where n.tenant = %s and n.path[:%s] = %s::text[] and "
    + LIVE
    + " order by i.updated_at desc, i.item_key desc limit %s"
)
NAMED: LiteralString = (
    FIELDS + " where n.tenant = %s and n.path = %s::text[] and i.key = any(%s::text[]) and " + LIVE
)


@dataclass(frozen=True, slots=True)
class RememberedItem:
    """An item, and why it is there.

    value: `Unreadable` where it cannot be read here, as without its encryption key.
    expires_at: None where it stays. score: of a query, 0 to 1, else None.
    origin: of the run that put it: thread_id, run_id, checkpoint_id (the one that the step began
        from), node, step; empty where it was put outside of a graph's run, or by an older release.
    """

    namespace: tuple[str, ...]
    key: str
    value: Any
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    origin: Mapping[str, str | int]
    score: float | None = None


def remembered(
    scope: Scope, codec: Codec, prefix: tuple[str, ...], limit: int
) -> Steps[list[RememberedItem]]:
    """The latest items below a namespace."""
    path = path_of(prefix)
    rows = yield FetchAll(scope.render(LATEST), (scope.tenant, len(path), path, limit))
    return [_item(codec, row) for row in rows]


def with_scores(
    scope: Scope, codec: Codec, hits: Sequence[SearchItem]
) -> Steps[list[RememberedItem]]:
    """What a search found, in its order."""
    keys: dict[tuple[str, ...], list[str]] = {}
    for hit in hits:
        keys.setdefault(hit.namespace, []).append(storable(hit.key))
    found: dict[tuple[tuple[str, ...], str], RememberedItem] = {}
    for namespace, some in keys.items():
        rows = yield FetchAll(scope.render(NAMED), (scope.tenant, path_of(namespace), some))
        for item in (_item(codec, row) for row in rows):
            found[item.namespace, item.key] = item
    places = ((hit, found.get((hit.namespace, hit.key))) for hit in hits)
    return [replace(item, score=hit.score) for hit, item in places if item is not None]


def _item(codec: Codec, row: Sequence[Any]) -> RememberedItem:
    path, key, value, sealed, created_at, updated_at, expires_at, origin = row
    try:
        value = item_value(codec.lenient(), value, sealed)
    except AgentMemoryError as error:
        value = Unreadable("", None, str(error))
    namespace = tuple(original(label) for label in path)
    return RememberedItem(
        namespace, original(key), value, created_at, updated_at, expires_at, origin or {}
    )
