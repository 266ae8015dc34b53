"""Asks an endpoint in the RDS API, with botocore: Amazon's, or whoever speaks it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any
from urllib.parse import quote

from cluster_runtime import errors
from cluster_runtime.api.client import facts
from cluster_runtime.api.client.transport import Address, EndpointUnreachableError, post
from cluster_runtime.api.protocols.nouns import from_members, from_value
from cluster_runtime.control.operations import Declared, Request
from cluster_runtime.control.operations.clusters import (
    CreateDBCluster,
    DeleteDBCluster,
    DescribeDBClusters,
    FailoverDBCluster,
    StartDBCluster,
    StopDBCluster,
)
from cluster_runtime.control.operations.events import DescribeEvents
from cluster_runtime.control.operations.instances import DeleteDBInstance, DescribeDBInstances
from cluster_runtime.control.operations.recovery.restoring import RestoreDBClusterToPointInTime
from cluster_runtime.control.operations.recovery.snapshots import (
    CopyDBClusterSnapshot,
    CreateDBClusterSnapshot,
    RestoreDBClusterFromSnapshot,
)
from cluster_runtime.control.operations.types import HANDLE
from cluster_runtime.control.records.model import (
    DBCluster,
    DBInstance,
    InstanceStatus,
)
from cluster_runtime.control.records.recovery.backups import DBClusterSnapshot
from cluster_runtime.errors import (
    BorealisError,
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    InvalidParameterError,
    OperationNotSupportedError,
)

POLL_SECONDS = 2
"""How often a waiter looks whether a cluster has come as far as an operation leads it."""
WAIT_ATTEMPTS_MAX = 900
EVENTS_OF_MINUTES = 14 * 24 * 60
SERVERLESS = "db.serverless"
LOOPBACK = "127.0.0.1"
CREATE = CreateDBCluster.declared.name
STOPPED = "DBClusterStopped"
STOPPED_WAITER = {
    "version": 2,
    "waiters": {
        STOPPED: {
            "operation": "DescribeDBClusters",
            "delay": POLL_SECONDS,
            "maxAttempts": WAIT_ATTEMPTS_MAX,
            "acceptors": [
                {
                    "expected": "stopped",
                    "matcher": "pathAll",
                    "argument": "DBClusters[].Status",
                    "state": "success",
                }
            ],
        }
    },
}
"""botocore has waiters for what becomes available, and for what is deleted."""
_DEFAULT_RANGE = {"MinCapacity": 0.0, "MaxCapacity": 16.0}
_RESOURCE_ID_PREFIX = "cluster-"
_RESOURCE_ID_CHARACTERS = 34


class RdsChannel:
    """One client of botocore's. Operations return when what they began has ended."""

    def __init__(
        self,
        endpoint: Address | None,
        *,
        region: str | None = None,
        session: Any = None,
        sslrootcert: str = "system",
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        from botocore.session import Session

        self._sslrootcert = sslrootcert
        self._poll_seconds = poll_seconds
        self._rds = (session or Session()).create_client(
            "rds", region_name=region, endpoint_url=None if endpoint is None else endpoint.url
        )
        if endpoint is not None and endpoint.path is not None:
            _send_over(self._rds, endpoint)

    def perform(self, request: Request) -> Any:
        """What the operation returns; for a handle, the facts of its cluster.

        Raises what the operation declares, EndpointUnreachableError, and OperationNotSupportedError
        for what RDS has not.
        """
        if isinstance(request, CreateDBCluster) and request.if_not_exists:
            return self._create_or_get(request)
        declared = request.declared
        beyond = facts.beyond_rds(request)
        if declared.ours:
            raise OperationNotSupportedError(
                f"the RDS API has no {declared.name}: only a host of this project does that"
            )
        if beyond and not isinstance(request, CreateDBCluster | DescribeDBInstances):
            raise OperationNotSupportedError(
                f"{declared.name} of the RDS API takes no {beyond[0]}: only a host of this project "
                "does that"
            )
        match request:
            case DescribeDBClusters():
                return [facts.db_cluster(each) for each in self._clusters(request)]
            case DescribeDBInstances():
                return self._instances(request)
            case DescribeEvents():
                return self._events(request)
            case CreateDBCluster():
                return self._create(request)
            case RestoreDBClusterToPointInTime() | RestoreDBClusterFromSnapshot():
                return self._restore(request)
            case CreateDBClusterSnapshot():
                return self._snapshot(request, request.db_cluster_snapshot_identifier)
            case CopyDBClusterSnapshot():
                return self._snapshot(request, request.target_db_cluster_snapshot_identifier)
            case DeleteDBCluster():
                return self._delete(request)
            case DeleteDBInstance():
                return self._delete_instance(request)
        answer = self._ask(declared.method, self._members(request))
        if isinstance(request, StopDBCluster):
            return self._waited(STOPPED, answer["DBCluster"])
        if isinstance(request, StartDBCluster | FailoverDBCluster) or declared.result == HANDLE:
            return self._waited("db_cluster_available", answer["DBCluster"])
        return self._result(declared, answer)

    def dsn(
        self,
        cluster: DBCluster,
        endpoint: str,
        user: str | None,
        dbname: str | None,
        port: int | None,
    ) -> str:
        """A libpq URI of an endpoint of a cluster, with a token that is signed here."""
        host, own_port = self._address(cluster, endpoint)
        port = port or own_port
        name = user or cluster.master_username
        token = self._rds.generate_db_auth_token(
            DBHostname=host, Port=port, DBUsername=name, Region=cluster.region
        )
        address = f"&hostaddr={LOOPBACK}" if host.endswith(".localhost") else ""
        return (
            f"postgresql://{quote(name, safe='')}:{quote(token, safe='')}@{host}:{port}/"
            f"{quote(dbname or cluster.database_name, safe='')}?sslmode=verify-full"
            f"&sslrootcert={quote(self._sslrootcert)}{address}"
        )

    def _address(self, cluster: DBCluster, endpoint: str) -> tuple[str, int]:
        if endpoint == "writer":
            return cluster.endpoint, cluster.port
        if endpoint == "reader":
            return cluster.reader_endpoint, cluster.reader_port
        name = cluster.db_cluster_identifier
        for each in self._instances(DescribeDBInstances(db_cluster_identifier=name)):
            if each.db_instance_identifier == endpoint.lower():
                return each.endpoint, each.port
        members = {"DBClusterIdentifier": name}
        for custom in self._all("describe_db_cluster_endpoints", members, "DBClusterEndpoints"):
            if custom.get("DBClusterEndpointIdentifier") == endpoint.lower():
                return custom["Endpoint"], cluster.port
        raise InvalidParameterError(f"cluster {name!r} has no endpoint {endpoint!r}")

    def _clusters(self, request: DescribeDBClusters) -> Sequence[Mapping[str, Any]]:
        identifier = request.db_cluster_identifier
        if identifier is None:
            return self._all("describe_db_clusters", {}, "DBClusters")
        if not _is_resource_id(identifier):
            members = {"DBClusterIdentifier": identifier}
            return self._all("describe_db_clusters", members, "DBClusters")
        filters = [{"Name": "db-cluster-resource-id", "Values": [identifier]}]
        try:
            found = self._all("describe_db_clusters", {"Filters": filters}, "DBClusters")
        except InvalidParameterError:  # not everybody who speaks the RDS API has all its filters
            everyone = self._all("describe_db_clusters", {}, "DBClusters")
            found = [each for each in everyone if each["DbClusterResourceId"] == identifier]
        if not found:
            raise ClusterNotFoundError(f"no cluster {identifier!r} at this endpoint")
        return found

    def _instances(self, request: DescribeDBInstances) -> list[DBInstance]:
        members: dict[str, Any] = {}
        wanted = request.db_cluster_identifier
        if request.db_instance_identifier is not None:
            members["DBInstanceIdentifier"] = request.db_instance_identifier
        if wanted is not None:
            members["Filters"] = [{"Name": "db-cluster-id", "Values": [self._name(wanted)]}]
        found = self._all("describe_db_instances", members, "DBInstances")
        writers = {
            member["DBInstanceIdentifier"]
            for cluster in self._clusters(DescribeDBClusters(wanted))
            for member in cluster.get("DBClusterMembers", ())
            if member["IsClusterWriter"]
        }
        of_clusters = [each for each in found if each.get("DBClusterIdentifier")]
        return sorted(
            (
                facts.db_instance(each, is_writer=each["DBInstanceIdentifier"] in writers)
                for each in of_clusters
            ),
            key=lambda one: (one.db_cluster_identifier, not one.is_cluster_writer),
        )

    def _events(self, request: DescribeEvents) -> Any:
        members: dict[str, Any] = {"SourceType": "db-cluster", "Duration": EVENTS_OF_MINUTES}
        if request.source_identifier is not None:
            members["SourceIdentifier"] = self._name(request.source_identifier)
        return [facts.event(each) for each in self._all("describe_events", members, "Events")]

    def _create(self, request: CreateDBCluster) -> DBCluster:
        """A cluster with a writer. RDS makes the writer by itself in the express configuration."""
        members = self._members(request)
        if not request.with_express_configuration:
            members |= {
                "MasterUsername": request.master_username,
                "DatabaseName": request.database_name,
            }
            members.setdefault("ServerlessV2ScalingConfiguration", _DEFAULT_RANGE)
        made = self._ask("create_db_cluster", members)["DBCluster"]
        if request.with_writer and not request.with_express_configuration:
            self._make_writer(made)
        return self._waited("db_cluster_available", made)

    def _restore(
        self, request: RestoreDBClusterToPointInTime | RestoreDBClusterFromSnapshot
    ) -> DBCluster:
        """The same for what is made of another cluster, or of a snapshot."""
        members = self._members(request)
        source = members.get("SourceDBClusterIdentifier")
        if source is not None and _is_resource_id(source):
            del members["SourceDBClusterIdentifier"]
            members["SourceDbClusterResourceId"] = source
        made = self._ask(request.declared.method, members)["DBCluster"]
        if request.with_writer:
            self._make_writer(made)
        return self._waited("db_cluster_available", made)

    def _snapshot(self, request: Request, name: str) -> Any:
        self._ask(request.declared.method, self._members(request))
        self._wait("db_cluster_snapshot_available", DBClusterSnapshotIdentifier=name)
        members = {"DBClusterSnapshotIdentifier": name}
        answer = self._ask("describe_db_cluster_snapshots", members)
        return from_value(DBClusterSnapshot, answer["DBClusterSnapshots"][0])

    def _make_writer(self, made: Mapping[str, Any]) -> None:
        writer = f"{made['DBClusterIdentifier']}-instance-1"
        self._ask(
            "create_db_instance",
            {
                "DBInstanceIdentifier": writer,
                "DBClusterIdentifier": made["DBClusterIdentifier"],
                "DBInstanceClass": SERVERLESS,
                "Engine": made["Engine"],
            },
        )
        self._wait("db_instance_available", DBInstanceIdentifier=writer)

    def _create_or_get(self, request: CreateDBCluster) -> DBCluster:
        """RDS has no such parameter, but tells whether there is such a cluster."""
        try:
            made: DBCluster = self.perform(replace(request, if_not_exists=False))
        except ClusterAlreadyExistsError:
            members = {"DBClusterIdentifier": request.db_cluster_identifier}
            return self._waited("db_cluster_available", members)
        return made

    def _delete(self, request: DeleteDBCluster) -> DBCluster:
        """RDS deletes no cluster that has instances."""
        members = self._members(request)
        if request.final_db_snapshot_identifier is not None:
            members["SkipFinalSnapshot"] = False
        name = members["DBClusterIdentifier"]
        (cluster,) = self._clusters(DescribeDBClusters(name))
        for each in cluster.get("DBClusterMembers", ()):
            gone = {"DBInstanceIdentifier": each["DBInstanceIdentifier"], "SkipFinalSnapshot": True}
            self._ask("delete_db_instance", gone)
        answer = self._ask("delete_db_cluster", members)
        self._wait("db_cluster_deleted", DBClusterIdentifier=name)
        return facts.db_cluster(answer["DBCluster"])

    def _available_instance(self, name: str) -> DBInstance:
        self._wait("db_instance_available", DBInstanceIdentifier=name)
        (made,) = self._instances(DescribeDBInstances(name))
        return made

    def _delete_instance(self, request: DeleteDBInstance) -> DBInstance:
        name = request.db_instance_identifier
        (before,) = self._instances(DescribeDBInstances(name))
        self._ask("delete_db_instance", self._members(request))
        self._wait("db_instance_deleted", DBInstanceIdentifier=name)
        return replace(before, db_instance_status=InstanceStatus.DELETING)

    def _waited(self, waiter: str, cluster: Mapping[str, Any]) -> DBCluster:
        name = cluster["DBClusterIdentifier"]
        self._wait(waiter, DBClusterIdentifier=name)
        (found,) = self._clusters(DescribeDBClusters(name))
        return facts.db_cluster(found)

    def _members(self, request: Request) -> dict[str, Any]:
        operation = self._rds.meta.service_model.operation_model(request.declared.name)
        members = facts.members_of(request, operation.input_shape)
        if "ApplyImmediately" in operation.input_shape.members:
            members["ApplyImmediately"] = True  # as the runtime changes things
        if "DBClusterIdentifier" in members and request.declared.name != CREATE:
            members["DBClusterIdentifier"] = self._name(members["DBClusterIdentifier"])
        return members

    def _name(self, identifier: str) -> str:
        """A cluster's identifier, which RDS takes and a resource id is not."""
        if not _is_resource_id(identifier):
            return identifier
        (found,) = self._clusters(DescribeDBClusters(identifier))
        return str(found["DBClusterIdentifier"])

    def _result(self, declared: Declared, answer: Mapping[str, Any]) -> Any:
        result = declared.result
        if result is None:
            return None
        kind = getattr(import_module(result.module), result.name)
        shape = self._rds.meta.service_model.operation_model(declared.name).output_shape
        if kind is DBCluster:
            return facts.db_cluster(answer["DBCluster"])
        if kind is DBInstance:
            return self._available_instance(answer["DBInstance"]["DBInstanceIdentifier"])
        if result.many:
            name = next(each for each, of in shape.members.items() if of.type_name == "list")
            return [from_value(kind, each) for each in answer.get(name, ())]
        inner = next((n for n, of in shape.members.items() if of.type_name == "structure"), None)
        return from_members(kind, answer if inner is None else answer[inner])

    def _all(self, method: str, members: Mapping[str, Any], key: str) -> list[Any]:
        with _ours():
            pages = self._rds.get_paginator(method).paginate(**members)
            return [each for page in pages for each in page.get(key, ())]

    def _ask(self, method: str, members: Mapping[str, Any]) -> Any:
        with _ours():
            return getattr(self._rds, method)(**members)

    def _wait(self, waiter: str, **members: Any) -> None:
        configuration = {"Delay": self._poll_seconds, "MaxAttempts": WAIT_ATTEMPTS_MAX}
        with _ours():
            self._waiter(waiter).wait(**members, WaiterConfig=configuration)

    def _waiter(self, name: str) -> Any:
        from botocore.waiter import WaiterModel, create_waiter_with_client

        if name != STOPPED:
            return self._rds.get_waiter(name)
        return create_waiter_with_client(STOPPED, WaiterModel(STOPPED_WAITER), self._rds)


def _is_resource_id(identifier: str) -> bool:
    return identifier.startswith(_RESOURCE_ID_PREFIX) and len(identifier) == _RESOURCE_ID_CHARACTERS


@contextmanager
def _ours() -> Iterator[None]:
    """Errors of botocore's as those of the control plane, by their codes."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,
        HTTPClientError,
        WaiterError,
    )

    try:
        yield
    except ClientError as error:
        found = error.response.get("Error", {})
        code, message = found.get("Code", ""), found.get("Message", str(error))
        kind = _BY_CODE.get(code)
        raise (kind(message) if kind else BorealisError(f"{code}: {message}")) from error
    except (ConnectionError, HTTPClientError) as error:
        raise EndpointUnreachableError(f"no answer from the endpoint: {error}") from error
    except WaiterError as error:
        raise BorealisError(
            f"the operation was begun and has not ended as it should: {error}"
        ) from (error)
    except BotoCoreError as error:
        raise BorealisError(str(error)) from error


def _by_code() -> dict[str, type[BorealisError]]:
    """The most general error of each code of RDS's."""
    found: dict[str, type[BorealisError]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, BorealisError):
            general = found.get(kind.code)
            if general is None or issubclass(general, kind):
                found[kind.code] = kind
    return found | {"InvalidParameterValue": errors.InvalidParameterError}


_BY_CODE = _by_code()


def _send_over(client: Any, address: Address) -> None:
    """Have a client of botocore's send its requests over a unix socket."""
    from botocore.awsrequest import AWSResponse

    def send(request: Any, **_: Any) -> Any:
        body = request.body or b""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        headers.setdefault("host", address.host_header)
        answer = post(address, headers, body.encode() if isinstance(body, str) else body)
        return AWSResponse(request.url, answer.status, answer.headers, _Raw(answer.body))

    client.meta.events.register("before-send", send)


class _Raw:
    """A body that is there already, as botocore reads one."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
