"""A cluster that another process hosts, for a handle on it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_runtime.api.calls import GetToken
from cluster_runtime.control.operations import Request
from cluster_runtime.control.operations.clusters import DescribeDBClusters
from cluster_runtime.control.records.model import ClusterStatus, DBCluster, DBInstance
from cluster_runtime.errors import ClusterNotFoundError, InvalidParameterError

if TYPE_CHECKING:
    from cluster_runtime.control.records.instances import DBClusterEndpoint


class RemoteSource:
    """A cluster behind a host (`cluster_runtime.control.handle.Source`).

    Once it is deleted it keeps the facts that it had, as a handle of the host does.
    """

    def __init__(self, perform: Callable[[Request], Any], facts: DBCluster) -> None:
        """perform: has the host perform a call."""
        self._perform = perform
        self._last = facts

    @property
    def id(self) -> str:
        """The resource id."""
        return self._last.db_cluster_resource_id

    @cached_property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority, which every host of the directory has."""
        from cluster_runtime.control.operations.resources import DescribeHost

        return Path(self._perform(DescribeHost()).certificate_path)

    def described(self) -> DBCluster:
        """The cluster as it is now."""
        try:
            (self._last,) = self._perform(DescribeDBClusters(self.id))
        except ClusterNotFoundError:
            gone = ClusterStatus.DELETING
            self._last = replace(self._last, status=gone, capacity=0.0, walls=None)
        return self._last

    def instances(self) -> Sequence[DBInstance]:
        """Its instances."""
        from cluster_runtime.control.operations.instances import DescribeDBInstances

        found: Sequence[DBInstance] = self._perform(
            DescribeDBInstances(db_cluster_identifier=self.id)
        )
        return found

    def address(self, endpoint: str) -> tuple[str, int]:
        """Host name and port of an instance's endpoint, or of a custom one.

        Raises InvalidParameterError.
        """
        from cluster_runtime.control.operations.instances import DescribeDBClusterEndpoints

        for instance in self.instances():
            if instance.db_instance_identifier == endpoint.lower():
                return instance.endpoint, instance.port
        found: Sequence[DBClusterEndpoint] = self._perform(DescribeDBClusterEndpoints(self.id))
        for each in found:
            if each.db_cluster_endpoint_identifier == endpoint.lower():
                return each.endpoint, each.port
        raise InvalidParameterError(f"this cluster has no endpoint {endpoint!r}")

    def token(self, facts: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for a user at an endpoint, signed by the host."""
        token: str = self._perform(GetToken(self.id, host, port, user)).token
        return token
