"""Tools that remember, over the store of the memory package."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from cluster_runtime.errors import ClusterNotFoundError
from mcp_server.answers.pages import Answer
from mcp_server.errors import SqlRefusedError
from mcp_server.memories.rules import Memory, MemoryScope, id_of_block
from mcp_server.memories.stores import Memories
from mcp_server.rendering import Json
from mcp_server.toolkit.arguments import ClusterName
from mcp_server.toolkit.confirming import confirmed
from mcp_server.toolkit.definition import Effect, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.uris import memory_uris

ScopeName = Annotated[str, Field(description="Whose: user:NAME, agent:NAME or run:NAME")]
Query = Annotated[str, Field(min_length=1, max_length=2000, description="What it is about")]
NOTHING_YET = "nothing is forgotten yet: call forget again with the ids of those that must go."


@tool(title="Remember", toolset=Toolset.MEMORY, effect=Effect.ADDS)
async def remember(
    call: Call,
    cluster: ClusterName,
    scope: ScopeName,
    text: Annotated[
        str, Field(min_length=1, max_length=8000, description="One fact that stands alone")
    ],
    id: Annotated[str | None, Field(description="The memory to replace by this text")] = None,
    block: Annotated[
        str | None,
        Field(
            pattern=r"^[\w-]{1,60}$",
            description="Keep it as the scope's core block of this name, which clients pin",
        ),
    ] = None,
    ttl_minutes: Annotated[
        float | None, Field(gt=0, le=5_256_000, description="Then it is forgotten; default: never")
    ] = None,
    separate: Annotated[
        bool, Field(description="Keep it beside one that says nearly the same")
    ] = False,
) -> Answer:
    """Keep a fact for later sessions. One that says nearly the same is updated instead."""
    if id is not None and block is not None:
        raise SqlRefusedError("give id or block, not both: a block is replaced by its name")
    owner = MemoryScope.of(scope)
    if not text.strip():
        raise SqlRefusedError("the text is blank; there is nothing to remember")
    kept = await (await _writing(call, cluster)).remember(
        owner, text, id=id, block=block, ttl_minutes=ttl_minutes, separate=separate
    )
    await _tell(call, cluster, owner, kept.id, new=kept.done == "added")
    said: dict[str, Json] = {"id": kept.id, "done": kept.done}
    if kept.similarity is not None:
        said["similarity"] = kept.similarity
    if kept.replaced is not None and kept.replaced != text:
        said["replaced"] = kept.replaced
    merged = (
        "this memory said the same, or nearly, and now has the new text; separate=true keeps both."
    )
    return Answer.whole(said, notes=(merged,) if kept.similarity is not None else (), fenced=True)


@tool(title="Recall", toolset=Toolset.MEMORY, effect=Effect.READS)
async def recall(
    call: Call,
    cluster: ClusterName,
    scopes: Annotated[
        list[str], Field(min_length=1, max_length=20, description="user:NAME, agent:NAME, run:NAME")
    ],
    query: Query,
    limit: Annotated[int, Field(ge=1, le=50, description="Most memories")] = 5,
    min_score: Annotated[float, Field(ge=0, le=1, description="Least score")] = 0.0,
) -> Answer:
    """Find memories by words and vectors together. Scores: 1 is first by both, 0.5 by one."""
    owners = [MemoryScope.of(each) for each in dict.fromkeys(scopes)]
    memories = await _reading(call, cluster)
    found = [] if memories is None else await memories.recall(owners, query, limit)
    return _told([each for each in found if (each.score or 0.0) >= min_score])


@tool(title="List memories", toolset=Toolset.MEMORY, effect=Effect.READS)
async def list_memories(
    call: Call,
    cluster: ClusterName,
    scope: Annotated[str | None, Field(description="Default: list the scopes instead")] = None,
    limit: Annotated[int, Field(ge=1, le=1000, description="Most memories")] = 100,
) -> Answer:
    """List what is remembered in a scope, the latest first; or the scopes that there are."""
    memories = await _reading(call, cluster)
    if scope is None:
        scopes = [] if memories is None else await memories.scopes()
        return Answer(scopes, lambda some, _: {"scopes": list(some)}, fenced=True)
    owner = MemoryScope.of(scope)
    found = [] if memories is None else await memories.recall([owner], None, limit + 1)
    notes = ("there are more: raise limit, or recall by words.",) if len(found) > limit else ()
    return _told(found[:limit], notes)


@tool(title="Forget", toolset=Toolset.MEMORY, effect=Effect.DESTROYS)
async def forget(
    call: Call,
    cluster: ClusterName,
    scope: ScopeName,
    ids: Annotated[list[str], Field(max_length=1000, description="The memories to remove")] = [],  # noqa: B006 - never changed
    query: Annotated[
        str | None,
        Field(min_length=1, max_length=2000, description="Show what would go, and remove nothing"),
    ] = None,
    limit: Annotated[int, Field(ge=1, le=50, description="With query: most to show")] = 10,
) -> Answer:
    """Remove memories by id, for good. With a query first, to see which ids would go."""
    owner = MemoryScope.of(scope)
    if bool(ids) is (query is not None):
        raise SqlRefusedError("give ids to remove those, or query to see what would go")
    if query is not None:
        reading = await _reading(call, cluster)
        found = [] if reading is None else await reading.recall([owner], query, limit)
        return _told(found, (NOTHING_YET,) if found else ())
    await confirmed(call, f"It removes {len(ids)} of the memories of {owner} for good.")
    gone = await (await _writing(call, cluster)).forget(owner, ids)
    for each in gone:
        await _tell(call, cluster, owner, each.id, new=True)
    missing = [each for each in dict.fromkeys(ids) if each not in {one.id for one in gone}]
    notes = (f"not there: {', '.join(missing)}",) if missing else ()
    return Answer(
        [[each.id, each.text] for each in gone],
        lambda rows, _: {"columns": ["forgotten", "text"], "rows": list(rows)},
        notes,
        fenced=True,
    )


async def _writing(call: Call, cluster: str) -> Memories:
    """The memories in a cluster, which is made where it is the one for memories."""
    try:
        handle = await call.platform.known(cluster)
    except ClusterNotFoundError:
        if cluster != call.scope.memory_cluster:
            raise
        handle = await call.off_loop(
            lambda: call.plane.create_db_cluster(cluster, if_not_exists=True)
        )
        call.platform.note(cluster, handle)
    return call.platform.memories.of(handle, writes=True)


async def _reading(call: Call, cluster: str) -> Memories | None:
    """The same to read; None where the cluster for memories is still to be made."""
    try:
        handle = await call.platform.known(cluster)
    except ClusterNotFoundError:
        if cluster != call.scope.memory_cluster:
            raise
        return None
    return call.platform.memories.of(handle, writes=False)


async def _tell(call: Call, cluster: str, scope: MemoryScope, id: str, *, new: bool) -> None:
    """Tell clients of a core block that is new, other, or gone."""
    if id.startswith(id_of_block("")):
        home = call.scope.memory_home
        await call.platform.changes.of(*memory_uris(None if home else cluster, str(scope)))
        if new:
            await call.platform.changes.of_scopes()


def _told(found: list[Memory], notes: tuple[str, ...] = ()) -> Answer:
    """Memories as rows; what none of them has is no column."""
    columns = [
        name
        for name in ("id", "scope", "text", "score", "updated", "expires")
        if name in ("id", "text") or any(getattr(each, name) is not None for each in found)
    ]
    rows = [[_cell(getattr(each, name)) for name in columns] for each in found]
    if len({each.scope for each in found}) == 1 and "scope" in columns:
        at = columns.index("scope")
        columns.pop(at)
        rows = [row[:at] + row[at + 1 :] for row in rows]
    return Answer(
        rows, lambda some, _: {"columns": columns, "rows": list(some)}, notes, fenced=True
    )


def _cell(value: object) -> Json:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


TOOLS = (remember, recall, list_memories, forget)
