"""What each group of operations has of the runtime that it performs them for."""

from pathlib import Path

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import address_of, endpoint_named
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.members import describe_cluster, describe_instances
from cluster_runtime.control.records.model import DBCluster, DBInstance
from cluster_runtime.control.records.tokens import generate_db_auth_token
from cluster_runtime.control.sources import HostedSource
from cluster_runtime.control.workflows.backups.automated import with_window


class Performing:
    """What the operations of every part have in common. On the runtime's event loop."""

    def __init__(self, runtime: OpenRuntime) -> None:
        self._runtime = runtime

    def find(self, identifier: str) -> HostedCluster:
        """A cluster by name or resource id. Raises ClusterNotFoundError."""
        return self._runtime.find(identifier)

    def handle(self, identifier: str) -> ClusterHandle:
        """A handle on a cluster. Raises ClusterNotFoundError."""
        return ClusterHandle(HostedSource(self, self.find(identifier)))

    def described(self, cluster: HostedCluster) -> DBCluster:
        """A cluster with the capacity and the walls of this moment."""
        return with_window(self._runtime, describe_cluster(cluster))

    def instances(self, cluster: HostedCluster) -> list[DBInstance]:
        """The instances of a cluster: a writer and its readers."""
        return describe_instances(cluster)

    def address(self, cluster: HostedCluster, endpoint: str) -> tuple[str, int]:
        """Host name and port of an endpoint. Raises InvalidParameterError."""
        return address_of(cluster, endpoint_named(cluster, endpoint))

    def token(self, db_cluster: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for an endpoint, signed with the access key of the runtime."""
        return generate_db_auth_token(
            self._runtime.access_key, host=host, port=port, user=user, region=db_cluster.region
        )

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority, for `sslrootcert`."""
        return self._runtime.certificates.root_path

    def _chosen(self, identifier: str | None) -> list[HostedCluster]:
        """The cluster of an identifier, or all in order of theirs."""
        if identifier is not None:
            return [self.find(identifier)]
        return sorted(self._runtime.clusters.values(), key=lambda cluster: cluster.identifier)
