"""Which of RDS's operations there are, and what performs each."""

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.services.rds.clusters import Clusters
from cluster_runtime.api.services.rds.declared import FromDeclaration
from cluster_runtime.api.services.rds.events import Events
from cluster_runtime.api.services.service import Performed
from cluster_runtime.control.operations import OPERATIONS


def rds_operations(runtime: AwaitedOperations) -> dict[str, Performed]:
    """What performs each operation, by RDS's name of it.

    One that the runtime declares and that is not named here is performed from its declaration.
    """
    clusters, events = Clusters(runtime), Events(runtime)
    declared = {
        each.name: FromDeclaration(runtime, each).perform for each in OPERATIONS if not each.ours
    }
    return {
        **declared,
        "CreateDBCluster": clusters.create,
        "DeleteDBCluster": clusters.delete,
        "DescribeEventCategories": events.describe_categories,
        "DescribeEvents": events.describe,
    }
