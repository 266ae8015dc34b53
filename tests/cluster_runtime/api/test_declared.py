"""An operation that is declared works at the RDS door, though nobody mentions it there."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import create_parser

from cluster_runtime.api.access.credentials import Identity
from cluster_runtime.api.protocols import query
from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.refusals import RefusedRequestError
from cluster_runtime.api.services.rds.declared import FromDeclaration
from cluster_runtime.api.services.service import Call
from cluster_runtime.control.operations.declaration import Request, Result, operation

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DBProxyEndpoint:
    """A noun of RDS's that the runtime has not."""

    db_proxy_endpoint_name: str
    db_proxy_name: str
    status: str = "available"
    vpc_subnet_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DBClusterEndpoint:
    """One whose members stand in the answer themselves."""

    db_cluster_endpoint_identifier: str
    endpoint_type: str = "CUSTOM"
    static_members: tuple[str, ...] = ()


@operation(
    "DescribeDBProxyEndpoints", of="x", returns=Result(__name__, "DBProxyEndpoint", many=True)
)
@dataclass(frozen=True, slots=True)
class DescribeDBProxyEndpoints(Request):
    """Made up."""

    db_proxy_name: str | None = None


@operation("CreateDBProxyEndpoint", of="x", returns=Result(__name__, "DBProxyEndpoint"))
@dataclass(frozen=True, slots=True)
class CreateDBProxyEndpoint(Request):
    """Made up."""

    db_proxy_name: str
    db_proxy_endpoint_name: str
    vpc_subnet_ids: tuple[str, ...] = ()


@operation("CreateDBClusterEndpoint", of="x", returns=Result(__name__, "DBClusterEndpoint"))
@dataclass(frozen=True, slots=True)
class CreateDBClusterEndpoint(Request):
    """Made up."""

    db_cluster_identifier: str
    db_cluster_endpoint_identifier: str
    endpoint_type: str
    static_members: tuple[str, ...] = ()


@dataclass
class MadeUpRuntime:
    """Has methods of these names."""

    given: dict[str, Any] = field(default_factory=dict)

    async def create_db_proxy_endpoint(self, **given: Any) -> DBProxyEndpoint:
        self.given = given
        return DBProxyEndpoint(given["db_proxy_endpoint_name"], given["db_proxy_name"])

    async def describe_db_proxy_endpoints(self, **given: Any) -> list[DBProxyEndpoint]:
        return [DBProxyEndpoint(f"e{number:02}", "p") for number in range(30)]

    async def create_db_cluster_endpoint(self, **given: Any) -> DBClusterEndpoint:
        self.given = given
        name, kind = given["db_cluster_endpoint_identifier"], given["endpoint_type"]
        return DBClusterEndpoint(name, kind, given["static_members"])


async def answer(runtime: MadeUpRuntime, request: type[Request], **members: Any) -> Any:
    """What botocore reads."""
    declared = request.declared
    performed = FromDeclaration(runtime, declared)  # type: ignore[arg-type]
    result = await performed.perform(Call(declared.name, members, Identity("key"), NOW))
    model = service_model("rds").operation_model(declared.name)
    response = {"body": query.response(model, result, "id"), "headers": {}, "status_code": 200}
    return create_parser("query").parse(response, model.output_shape)


async def test_its_parameters_and_its_noun_are_those_of_rds() -> None:
    runtime = MadeUpRuntime()
    made = await answer(
        runtime,
        CreateDBProxyEndpoint,
        DBProxyName="p",
        DBProxyEndpointName="e",
        VpcSubnetIds=["s1", "s2"],
    )
    assert runtime.given["vpc_subnet_ids"] == ("s1", "s2")
    assert made["DBProxyEndpoint"]["DBProxyEndpointName"] == "e"
    with pytest.raises(RefusedRequestError, match="takes no TargetRole here"):
        await answer(runtime, CreateDBProxyEndpoint, TargetRole="READ_ONLY")


async def test_an_answer_may_be_the_noun_itself_and_a_cluster_be_named_by_its_arn() -> None:
    runtime = MadeUpRuntime()
    made = await answer(
        runtime,
        CreateDBClusterEndpoint,
        DBClusterIdentifier="arn:aws:rds:us-east-1:000000000000:cluster:notes",
        DBClusterEndpointIdentifier="e",
        EndpointType="READER",
        StaticMembers=["one"],
    )
    assert (made["EndpointType"], made["StaticMembers"]) == ("READER", ["one"])
    assert runtime.given["db_cluster_identifier"] == "notes"


async def test_a_list_has_pages_and_filters() -> None:
    runtime = MadeUpRuntime()
    first = await answer(runtime, DescribeDBProxyEndpoints, MaxRecords=20)
    assert len(first["DBProxyEndpoints"]) == 20
    rest = await answer(runtime, DescribeDBProxyEndpoints, Marker=first["Marker"])
    assert rest["DBProxyEndpoints"][0]["DBProxyEndpointName"] == "e20"
    assert "Marker" not in rest
    for name in ("db-proxy-endpoint-name", "db-proxy-endpoint-status", "status"):
        value = "e07" if name.endswith("name") else "available"
        chosen = [{"Name": name, "Values": [value]}]
        found = await answer(runtime, DescribeDBProxyEndpoints, Filters=chosen)
        assert len(found["DBProxyEndpoints"]) == (1 if value == "e07" else 30)
    unknown = [{"Name": "colour", "Values": ["red"]}]
    with pytest.raises(RefusedRequestError, match="Unrecognized filter name: colour"):
        await answer(runtime, DescribeDBProxyEndpoints, Filters=unknown)
