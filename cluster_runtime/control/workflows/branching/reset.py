"""ResetBranch: a branch becomes what the cluster that it was made from is now."""

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.workflows.branching.clone import cut_for, require_something_to_cut
from cluster_runtime.control.workflows.branching.steps import Workflow, perform
from cluster_runtime.control.workflows.branching.swap import NEXT, replacement
from cluster_runtime.errors import InvalidRestoreError

RESET = "reset-branch"


async def reset_branch(runtime: OpenRuntime, branch: HostedCluster) -> None:
    """Raises what `ResetBranch` declares; then the branch is as it was."""
    source = source_of(runtime, branch)
    require_something_to_cut(source)
    async with branch.changing:
        branch.require(ClusterStatus.AVAILABLE)
        await perform(runtime, branch, workflow(runtime, branch))
    await runtime.record(branch, f"Branch reset to the present of {source.identifier}", "backtrack")


def workflow(runtime: OpenRuntime, branch: HostedCluster) -> Workflow:
    """Its steps."""

    def make() -> None:
        cut_for(source_of(runtime, branch), branch, suffix=NEXT)

    return replacement(runtime, branch, RESET, make)


def source_of(runtime: OpenRuntime, branch: HostedCluster) -> HostedCluster:
    """The cluster that it was made from. Raises InvalidRestoreError where there is none."""
    if not branch.db_cluster.branch_of:
        raise InvalidRestoreError(f"cluster {branch.identifier!r} is no branch of another one")
    source = runtime.clusters.get(branch.db_cluster.branch_of)
    if source is None:
        raise InvalidRestoreError(
            f"the cluster that {branch.identifier!r} was made from was deleted"
        )
    return source
