"""Tools that say what ails a database or a query, and what mends it."""

import json
from collections.abc import Sequence
from typing import Annotated

import psycopg
from pydantic import Field

from cluster_runtime.errors import BorealisError
from mcp_server.advice.examining import (
    CHECK_SECONDS,
    CHECKS,
    INDEX_ADVICE,
    Check,
    Diagnosis,
    why,
    worth_an_index,
)
from mcp_server.advice.examining import diagnose as examine
from mcp_server.advice.findings import Finding, Row
from mcp_server.advice.indexing.trying import ALL_SECONDS as ADVICE_SECONDS
from mcp_server.advice.indexing.trying import Advice, advise
from mcp_server.advice.plans import plan_of
from mcp_server.answers.pages import Answer
from mcp_server.databases.connections import interruptible
from mcp_server.databases.existing import Database, ExistingDatabase
from mcp_server.errors import SqlRefusedError
from mcp_server.nl2sql.database.guard.checks import inspect
from mcp_server.rendering import Json
from mcp_server.rows import limits_of_a_call
from mcp_server.sessions import examining, fetched, reading
from mcp_server.toolkit.arguments import ClusterName, DatabaseName, TimeoutSeconds
from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.throwaway import throwaway
from mcp_server.toolkit.toolsets import Toolset

ALL_SECONDS = (len(CHECKS) + 1) * CHECK_SECONDS
NO_BRANCH = (
    "candidates are built on a branch, and {}; explain_query shows what a statement does now"
)
MEND = "mend is SQL to read before you run it; what it names comes from the database."


@tool(title="Explain a query", toolset=Toolset.ADVICE, effect=Effect.READS, reach=Reach.DATABASE)
async def explain_query(
    call: Call,
    cluster: ClusterName,
    sql: Annotated[str, Field(min_length=1, description="One statement that reads")],
    analyze: Annotated[
        bool, Field(description="Run it, for real times and numbers of rows")
    ] = False,
    timeout_seconds: TimeoutSeconds = 30,
    database: DatabaseName = None,
) -> Answer:
    """Show the plan of a query in short, and what is remarkable in it."""
    inspection = inspect(sql)
    if inspection.explain or inspection.is_show:
        raise SqlRefusedError("give the query itself, without EXPLAIN; SHOW has no plan")
    options = "analyze, buffers, format json" if analyze else "format json"
    handle = await call.database(cluster)
    limits = limits_of_a_call(1, timeout_seconds)
    async with reading(handle, database, limits) as connection, call.progress.during("explaining"):
        answer = await interruptible(
            connection,
            fetched(connection, f"explain ({options}) {inspection.sql}", limits),
            timeout_seconds,
        )
    ((text,),) = answer.texts
    plan = plan_of(json.loads(text or "[]"))
    times = [
        f"{what} {ms:.1f} ms"
        for what, ms in (("planning", plan.planning_ms), ("execution", plan.execution_ms))
        if ms is not None
    ]
    lines = [f"cost {plan.cost:.0f}", *times, *plan.lines]
    return Answer.lines([*lines, *(f"! {each}" for each in plan.remarks)])


@tool(title="Diagnose", toolset=Toolset.ADVICE, effect=Effect.READS, reach=Reach.DATABASE)
async def diagnose(
    call: Call,
    cluster: ClusterName,
    checks: Annotated[list[Check], Field(description="Default: all")] = [],  # noqa: B006 - never changed
    long_seconds: Annotated[
        float, Field(ge=0, description="From what age on an open transaction is long")
    ] = 60,
    database: DatabaseName = None,
) -> Answer:
    """Find what ails a database, the most pressing first, each with the SQL that mends it."""
    handle = await call.database(cluster)
    wanted = checks or CHECKS
    limits = limits_of_a_call(seconds=ALL_SECONDS)
    slow: list[Row] = []
    async with (
        examining(handle, database, limits) as connection,
        call.progress.during("examining"),
    ):

        async def examined() -> Diagnosis:
            told = await examine(connection, wanted, long_seconds=long_seconds)
            if INDEX_ADVICE in wanted and _may_branch(call, handle, told):
                slow[:] = await worth_an_index(connection, told)
            return told

        told = await interruptible(connection, examined(), ALL_SECONDS)
    tried = await _index_advice(call, handle, database, slow, told) if slow else Advice()

    def wrap(items: object, first: bool) -> Json:
        page: dict[str, Json] = {"findings": items}
        if first and told.fine:
            page["fine"] = list(told.fine)
        if first and told.not_checked:
            page["not_checked"] = dict(told.not_checked)
        if first and tried.no_index:
            page["no_index_helps"] = dict(tried.no_index)
        if first and tried.not_tried:
            page["not_tried"] = dict(tried.not_tried)
        return page

    notes = (MEND,) if told.found else ()
    return Answer([_told(each) for each in told.found], wrap, notes, fenced=True)


def _may_branch(call: Call, handle: Database, told: Diagnosis) -> bool:
    """Whether indexes can be tried on a branch; else it is told why not."""
    existing = isinstance(handle, ExistingDatabase)
    if existing or call.scope.read_only:
        lacking = "this database has none" if existing else "this server only reads"
        told.not_checked[INDEX_ADVICE] = NO_BRANCH.format(lacking)
        return False
    return True


async def _index_advice(
    call: Call, handle: Database, database: str | None, slow: Sequence[Row], told: Diagnosis
) -> Advice:
    """Try indexes on a branch; what is found goes to what was found before."""
    try:
        async with (
            throwaway(call, handle, ADVICE_SECONDS) as branch,
            call.progress.during("trying indexes on a branch"),
        ):
            advice = await advise(slow, branch, database)
    except psycopg.Error as error:
        told.not_checked[INDEX_ADVICE] = why(error)
    except BorealisError as error:
        told.not_checked[INDEX_ADVICE] = str(error)
    else:
        told.found = sorted([*told.found, *advice.found], key=lambda one: CHECKS.index(one.check))
        return advice
    return Advice()


def _told(finding: Finding) -> Json:
    return {
        "check": finding.check,
        "of": finding.of,
        "says": finding.says,
        "mend": finding.mend,
    }


TOOLS = (explain_query, diagnose)
