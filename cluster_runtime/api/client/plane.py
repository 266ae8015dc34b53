"""`RdsControlPlane`: the control plane behind an endpoint, a host's or Amazon's."""

import os
from pathlib import Path
from typing import Any, Protocol

from cluster_runtime.api.access.credentials import Credentials
from cluster_runtime.api.access.signature import SigningKey
from cluster_runtime.api.client._asked import RemoteOperations
from cluster_runtime.api.client.cluster import RemoteCluster
from cluster_runtime.api.client.finding import socket_of
from cluster_runtime.api.client.host import HostClient
from cluster_runtime.api.client.remote_source import RemoteSource
from cluster_runtime.api.client.transport import Address, EndpointUnreachableError
from cluster_runtime.control.handle import ClusterHandle
from cluster_runtime.control.operations import Request
from cluster_runtime.control.operations.clusters import DescribeDBClusters
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.errors import BorealisError

LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
SYSTEM_CERTIFICATES = "system"
"""What libpq calls the certificates that the operating system trusts."""


class Channel(Protocol):
    """One way to ask an endpoint."""

    def perform(self, request: Request) -> Any:
        """What the operation returns; for a handle, the facts of its cluster.

        Raises what the operation declares.
        """

    def dsn(
        self,
        facts: DBCluster,
        endpoint: str,
        user: str | None,
        dbname: str | None,
        port: int | None,
    ) -> str:
        """A libpq URI of an endpoint of a cluster, with a token."""


class RdsControlPlane(RemoteOperations):
    """The operations of `Runtime` on the clusters behind an endpoint. Blocking; for any thread.

    Against Amazon Aurora it speaks the RDS API with botocore; what RDS has not raises
    OperationNotSupportedError. Against a host of this project it has every operation, with the same
    results and errors as in the host's process.
    """

    def __init__(
        self,
        endpoint_url: str | os.PathLike[str] | None = None,
        *,
        region: str | None = None,
        session: Any = None,
        sslrootcert: str | None = None,
        rds_api: bool = False,
    ) -> None:
        """endpoint_url: a URL, or the path of a host's socket or state directory; None for
            Amazon's, or for what AWS_ENDPOINT_URL_RDS says.
        region: by default the session's.
        session: botocore's, with its credentials; by default a new one. At a socket
            it is one with the key in the state directory.
        sslrootcert: of the clusters' certificates, for libpq; by default the host's authority, and
            the system's for Amazon.
        rds_api: speak the RDS API to a host too.
        """
        self._channel: Channel = _channel(endpoint_url, region, session, sslrootcert, rds_api)

    def cluster(self, identifier: str) -> RemoteCluster:
        """A handle on an existing cluster. Raises ClusterNotFoundError."""
        (facts,) = self._channel.perform(DescribeDBClusters(identifier))
        return self._handle(facts)

    def _perform(self, request: Request) -> Any:
        result = self._channel.perform(request)
        returned = request.declared.result
        return self._handle(result) if returned is not None and returned.protocol_name else result

    def _handle(self, facts: DBCluster) -> RemoteCluster:
        return RemoteCluster(self, facts, self._channel.dsn)


class HostChannel:
    """Asks a host in JSON, which has all operations and all facts."""

    def __init__(self, client: HostClient) -> None:
        self.perform = client.perform

    def dsn(
        self,
        facts: DBCluster,
        endpoint: str,
        user: str | None,
        dbname: str | None,
        port: int | None,
    ) -> str:
        """A libpq URI as a handle in the host makes it."""
        handle = ClusterHandle(RemoteSource(self.perform, facts))
        return handle.dsn(endpoint, user=user, dbname=dbname, port=port)


def _channel(
    endpoint: str | os.PathLike[str] | None,
    region: str | None,
    session: Any,
    sslrootcert: str | None,
    rds_api: bool,
) -> Channel:
    address = None if endpoint is None else _address(endpoint)
    if address is not None and address.path is not None:
        session = session or _session_of(Path(os.fspath(endpoint or "")), address.path)
    client = None if address is None else _host_at(address, session)
    if client is not None and not rds_api:
        return HostChannel(client)
    if client is not None:
        host = client.call("DescribeHost")
        region, sslrootcert = region or host["region"], sslrootcert or host["certificate_path"]
    from cluster_runtime.api.client.rds import RdsChannel

    return RdsChannel(
        address, region=region, session=session, sslrootcert=sslrootcert or SYSTEM_CERTIFICATES
    )


def _address(endpoint: str | os.PathLike[str]) -> Address:
    """A URL's, or that of a socket, which may be named by its state directory."""
    text = os.fspath(endpoint)
    if "://" in text:
        return Address.of(text)
    path = Path(text).expanduser().absolute()
    return Address(path=socket_of(path) if path.is_dir() else path)


def _host_at(address: Address, session: Any) -> HostClient | None:
    """The client of a host of this project; None where something else speaks the RDS API."""
    if address.path is None and address.host not in LOCAL_NAMES:
        return None
    keys = _keys_of(session)
    if keys is None:
        return None
    client = HostClient(address, *keys)
    try:
        client.call("DescribeHost")
    except EndpointUnreachableError:
        raise
    except BorealisError:
        if address.path is not None:
            raise
        return None
    return client


def _session_of(given: Path, path: Path) -> Any:
    """A session with the key of the state directory that a socket is of."""
    from botocore.session import Session

    directory = given.expanduser() if given.expanduser().is_dir() else path.parent
    key_id, key = Credentials.read(directory).first
    session = Session()
    session.set_credentials(key_id, key.secret_access_key)
    return session


def _keys_of(session: Any) -> tuple[str, SigningKey] | None:
    """What a session signs with now; None where it has nothing."""
    from botocore.session import Session

    credentials = (session or Session()).get_credentials()
    if credentials is None:
        return None
    frozen = credentials.get_frozen_credentials()
    return frozen.access_key, SigningKey(frozen.secret_key, frozen.token)
