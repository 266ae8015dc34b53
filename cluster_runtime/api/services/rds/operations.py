"""Which of RDS's operations there are, and what performs each."""

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.services.rds.clusters import Clusters
from cluster_runtime.api.services.rds.events import Events
from cluster_runtime.api.services.rds.plain import Plain
from cluster_runtime.api.services.service import Performed
from cluster_runtime.control.operations import OPERATIONS


def rds_operations(runtime: AwaitedOperations) -> dict[str, Performed]:
    """What performs each operation, by RDS's name of it.

    One that the runtime declares and that is not named here is performed from its declaration.
    """
    clusters, events = Clusters(runtime), Events(runtime)
    plain = {each.name: Plain(runtime, each).perform for each in OPERATIONS if not each.ours}
    return {
        **plain,
        "CreateDBCluster": clusters.create,
        "CreateDBInstance": clusters.create_instance,
        "DeleteDBCluster": clusters.delete,
        "DeleteDBInstance": clusters.delete_instance,
        "DescribeDBClusters": clusters.describe,
        "DescribeDBInstances": clusters.describe_instances,
        "DescribeEventCategories": events.describe_categories,
        "DescribeEvents": events.describe,
        "FailoverDBCluster": clusters.failover,
        "ModifyDBCluster": clusters.modify,
        "RebootDBInstance": clusters.reboot_instance,
        "RestoreDBClusterToPointInTime": clusters.restore_to_point_in_time,
        "StartDBCluster": clusters.start,
        "StopDBCluster": clusters.stop,
    }
