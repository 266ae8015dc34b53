"""What the last host left of a workflow: finished at the next start, or taken back."""

from collections.abc import Callable

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.records.catalog import UnderWay
from cluster_runtime.control.workflows.branching import reset, rewind
from cluster_runtime.control.workflows.branching.steps import Workflow, finish

WORKFLOWS: dict[str, Callable[[OpenRuntime, HostedCluster], Workflow]] = {
    reset.RESET: reset.workflow,
    rewind.REWIND: rewind.workflow,
    rewind.UNDO: rewind.undo_workflow,
}
"""By their names in the catalog. Nothing runs yet: none of them starts a writer then."""


async def finish_workflow(
    runtime: OpenRuntime, cluster: HostedCluster, under_way: UnderWay
) -> None:
    """Before anybody is let in."""
    make = WORKFLOWS[under_way.kind]
    done = await finish(runtime, cluster, make(runtime, cluster), under_way.step)
    outcome = "was finished" if done else "was taken back"
    await runtime.record(
        cluster, f"The host ended during {under_way.kind}: it {outcome}", "recovery"
    )
