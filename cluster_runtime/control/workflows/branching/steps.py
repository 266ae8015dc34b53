"""Workflows that a killed host does not leave half done: rows of the catalog say how far each is.

A workflow is a row of steps. Each is noted in the catalog before it is begun, and may be done
again: one that was cut short is begun again, and finds what it did. Up to a certain step the
workflow is taken back at the next start, as it is after an error; from that one on it is finished.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.records.catalog import UnderWay
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.logs import get_logger

Action = Callable[[], Awaitable[None]]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """repeated: whether it has to be done again, or for the first time, at the next start."""

    name: str
    do: Action
    repeated: bool = True


@dataclass(frozen=True, slots=True)
class Workflow:
    """kind: its name in the catalog. from_here: the step from which on it is finished, not undone.

    status: what its cluster is meanwhile. take_back: undoes the steps before `from_here`; it may
    have been called before, or too early.
    """

    kind: str
    status: ClusterStatus
    steps: Sequence[Step]
    from_here: str
    take_back: Action


def left_to_do(steps: Sequence[str], from_here: str, reached: str) -> Sequence[str] | None:
    """What is left of a workflow that ended in a step; None where it is to be taken back.

    A step that this release does not know is none that it may go on from: then it is taken back.
    """
    if reached not in steps or steps.index(reached) < steps.index(from_here):
        return None
    return steps[steps.index(reached) :]


def percent(steps: Sequence[str], step: str) -> int:
    """How much of a workflow is done when a step begins."""
    return 100 * steps.index(step) // len(steps)


async def perform(runtime: OpenRuntime, cluster: HostedCluster, workflow: Workflow) -> None:
    """Do all its steps; the caller holds `cluster.changing`.

    What fails before `from_here` leaves the cluster as it was. What fails later is finished at the
    next start; the cluster is what it became by then.
    """
    before = cluster.db_cluster
    names = [each.name for each in workflow.steps]
    passed = False
    try:
        for step in workflow.steps:
            cluster.db_cluster = replace(
                before, status=workflow.status, percent_progress=percent(names, step.name)
            )
            under_way = UnderWay(cluster.id, workflow.kind, step.name)
            await in_thread(runtime.catalog.begin_step, under_way)
            passed = passed or step.name == workflow.from_here
            await step.do()
    except BaseException:
        if not passed:
            await workflow.take_back()
            await in_thread(runtime.catalog.end_workflow, cluster.id)
        raise
    else:
        await in_thread(runtime.catalog.end_workflow, cluster.id)
    finally:
        cluster.db_cluster = before


async def finish(
    runtime: OpenRuntime, cluster: HostedCluster, workflow: Workflow, reached: str
) -> bool:
    """At the start of a host: finish what the last one left in a step, or take it back.

    Returns whether it was finished.
    """
    left = left_to_do([each.name for each in workflow.steps], workflow.from_here, reached)
    if left is None:
        await workflow.take_back()
    else:
        for step in workflow.steps:
            if step.name in left and step.repeated:
                await step.do()
    await in_thread(runtime.catalog.end_workflow, cluster.id)
    outcome = "taken back" if left is None else "finished"
    _log.warning(
        "a workflow was cut short", cluster=cluster.identifier, kind=workflow.kind, then=outcome
    )
    return left is not None
