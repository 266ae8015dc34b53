"""Where a handle has a cluster that this process hosts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.control.records.model import DBCluster, DBInstance


class Service(Protocol):
    """What a handle asks of the control plane."""

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority."""

    def described(self, cluster: HostedCluster) -> DBCluster:
        """A cluster as it is now."""

    def instances(self, cluster: HostedCluster) -> Sequence[DBInstance]:
        """Its instances."""

    def address(self, cluster: HostedCluster, endpoint: str) -> tuple[str, int]:
        """Host name and port of an endpoint."""

    def token(self, db_cluster: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for a user at an endpoint."""


@dataclass(frozen=True, slots=True)
class HostedSource:
    """A cluster that this process hosts, for a handle on it."""

    service: Service
    cluster: HostedCluster

    @property
    def id(self) -> str:
        """The resource id."""
        return self.cluster.id

    @property
    def certificate_path(self) -> Path:
        """The certificate of the gateway's authority."""
        return self.service.certificate_path

    def described(self) -> DBCluster:
        """The cluster as it is now."""
        return self.service.described(self.cluster)

    def instances(self) -> Sequence[DBInstance]:
        """Its instances."""
        return self.service.instances(self.cluster)

    def address(self, endpoint: str) -> tuple[str, int]:
        """Host name and port of an endpoint."""
        return self.service.address(self.cluster, endpoint)

    def token(self, db_cluster: DBCluster, host: str, port: int, user: str) -> str:
        """An IAM token for a user at an endpoint."""
        return self.service.token(db_cluster, host, port, user)
