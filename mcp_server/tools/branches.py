"""The tool that makes branches of clusters, and tells what was changed on them."""

from typing import Annotated, Literal

from pydantic import Field

from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.diff.results import DataDiff, TableDiff
from mcp_server.answers.pages import Answer
from mcp_server.databases.written import WRITTEN
from mcp_server.errors import ArgumentsError
from mcp_server.rendering import Json
from mcp_server.results import ClusterDeleted
from mcp_server.toolkit.arguments import DatabaseName
from mcp_server.toolkit.confirming import confirmed
from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.uris import cluster_uri, tables_uri
from mcp_server.tools.clusters import deleted

ROWS_SHOWN = 20


@tool(
    title="Work with branches",
    toolset=Toolset.BRANCHES,
    effect=Effect.DESTROYS,
    reach=Reach.SERVER,
)
async def branch(
    call: Call,
    action: Annotated[
        Literal["create", "list", "schema_diff", "data_diff", "reset", "delete"],
        Field(
            description="diffs: what must happen to the source to be as the branch; reset: make "
            "the branch what its source is now"
        ),
    ],
    branch: Annotated[str | None, Field(description="Its name; for all but list")] = None,
    cluster: Annotated[
        str | None, Field(description="To branch from (create), or to compare with")
    ] = None,
    tables: Annotated[list[str], Field(description="data_diff: only these, as schema.table")] = [],  # noqa: B006 - never changed
    database: DatabaseName = None,
) -> Answer | ClusterDeleted:
    """Branch a cluster in well under a second, to try changes on a copy with all its data.

    A branch is a cluster: all tools take its name. Afterwards: diff, apply the SQL to the source,
    delete the branch.
    """
    if action == "list":
        return await _listed(call, cluster)
    if branch is None:
        raise ArgumentsError(f"the action {action} needs the argument 'branch'")
    if action == "create":
        if cluster is None:
            raise ArgumentsError("the action create needs the argument 'cluster': the source")
        return await _created(call, branch, cluster)
    facts = await call.off_loop(lambda: call.plane.cluster(branch).describe())
    match action:
        case "schema_diff" | "data_diff":
            source = cluster or await _source(call, facts)
            if action == "schema_diff":
                return await _schema_diff(call, source, branch, database)
            return await _data_diff(call, source, branch, tables, database)
        case "reset":
            return await _reset(call, facts)
        case "delete":
            _check_is_a_branch(facts, "delete_cluster deletes clusters")
            return await deleted(call, facts)


async def _listed(call: Call, cluster: str | None) -> Answer:
    everyone = await call.off_loop(call.plane.describe_db_clusters)
    names = {each.db_cluster_resource_id: each.db_cluster_identifier for each in everyone}
    of = None
    if cluster is not None:
        of = (await call.cluster(cluster)).id
    rows: list[Json] = [
        [
            each.db_cluster_identifier,
            names.get(each.branch_of),
            each.cluster_create_time.isoformat(),
        ]
        for each in sorted(everyone, key=lambda one: one.db_cluster_identifier)
        if each.branch_of and of in (None, each.branch_of)
    ]
    return Answer(
        rows, lambda items, _: {"columns": ["branch", "of", "created"], "rows": list(items)}
    )


async def _created(call: Call, branch: str, cluster: str) -> Answer:
    async with call.progress.during(f"branching {cluster}"):
        made = await call.off_loop(
            lambda: call.plane.restore_db_cluster_to_point_in_time(
                branch, cluster, restore_type="copy-on-write", use_latest_restorable_time=True
            )
        )
        facts = await call.off_loop(made.describe)
    await call.platform.changes.of_clusters()
    return Answer.whole({"branch": branch, "of": cluster, "status": facts.status.value})


async def _reset(call: Call, facts: DBCluster) -> Answer:
    name = facts.db_cluster_identifier
    _check_is_a_branch(facts, "only a branch can be reset; rewind brings a cluster back")
    source = await _source(call, facts)
    await confirmed(
        call,
        f"This makes branch {name!r} what {source!r} is now: what was changed on the branch goes, "
        "and connections to it end. undo_rewind takes it back.",
        facts.db_cluster_resource_id,
    )
    async with call.progress.during(f"resetting {name}"):
        await call.off_loop(lambda: call.plane.reset_branch(name))
    WRITTEN.note(facts.db_cluster_resource_id, None)
    await call.platform.changes.of(cluster_uri(name), tables_uri(name))
    return Answer.whole({"branch": name, "is_now_as": source, "undo": "undo_rewind"})


async def _schema_diff(call: Call, source: str, branch: str, database: str | None) -> Answer:
    async with call.progress.during("comparing schemas"):
        found = await call.off_loop(
            lambda: call.plane.describe_schema_diff(source, branch, database_name=database)
        )
    lines = found.text.splitlines()
    return Answer.lines(lines or ["the schemas are equal"])


async def _data_diff(
    call: Call, source: str, branch: str, tables: list[str], database: str | None
) -> Answer:
    async with call.progress.during("comparing rows"):
        found = await call.off_loop(
            lambda: call.plane.describe_data_diff(
                source, branch, database_name=database, tables=tuple(tables), max_rows=ROWS_SHOWN
            )
        )
    return data_answer(found)


def data_answer(found: DataDiff) -> Answer:
    """How rows differ, table by table; rows as [change, source, target]."""
    sequences: list[Json] = [[each.name, each.source, each.target] for each in found.sequences]
    return Answer(
        [table_told(each) for each in found.tables],
        lambda items, first: {
            "compared_tables": found.compared_tables,
            "row_fields": ["change", "before", "after"],
            "tables": list(items),
            **({"sequences": sequences} if first and sequences else {}),
        },
        fenced=True,
    )


def table_told(found: TableDiff) -> Json:
    """How the rows of one table differ; each row as [change, before, after]."""
    told: dict[str, Json] = {
        "name": found.name,
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "not_compared": found.not_compared,
        "key": list(found.key),
        "columns": list(found.columns),
        "rows": [
            [each.change, each.source and list(each.source), each.target and list(each.target)]
            for each in found.rows
        ],
    }
    return {name: value for name, value in told.items() if value not in ("", [], 0)}


async def _source(call: Call, facts: DBCluster) -> str:
    """What a branch was made from. Raises ArgumentsError where that is gone, or it is no branch."""
    name = facts.db_cluster_identifier
    _check_is_a_branch(facts, "name the other side as 'cluster'")
    everyone = await call.off_loop(call.plane.describe_db_clusters)
    for each in everyone:
        if each.db_cluster_resource_id == facts.branch_of:
            return each.db_cluster_identifier
    raise ArgumentsError(f"what branch {name!r} was made from is deleted: name another 'cluster'")


def _check_is_a_branch(facts: DBCluster, instead: str) -> None:
    if not facts.branch_of:
        raise ArgumentsError(f"{facts.db_cluster_identifier!r} is no branch; {instead}")


TOOLS = (branch,)
