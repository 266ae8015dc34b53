"""What to do about a cluster that takes no connections or no change now."""

from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from cluster_runtime.wording import Hint, Operation


def to_make_available(db_cluster: DBCluster) -> tuple[Hint, ...]:
    """How a cluster at rest becomes available; nothing for one that is on its way somewhere."""
    if db_cluster.status in (ClusterStatus.STOPPED, ClusterStatus.INCOMPATIBLE_NETWORK):
        operation = Operation("start_db_cluster", db_cluster.db_cluster_identifier)
        return (Hint("start it with {}", operation),)
    return ()


def to_make_a_writer(db_cluster: DBCluster) -> Hint:
    """The advice for a cluster without an instance."""
    name = db_cluster.db_cluster_identifier
    settings = {"db_cluster_identifier": name}
    return Hint("make one with {}", Operation("create_db_instance", f"{name}-instance-1", settings))


def to_open_the_gateway(db_cluster: DBCluster) -> Hint:
    """The advice for a cluster whose gateway is closed to clients."""
    settings = {"internet_access_gateway_enabled": True}
    return Hint(
        "switch it on with {}",
        Operation("modify_db_cluster", db_cluster.db_cluster_identifier, settings),
    )
