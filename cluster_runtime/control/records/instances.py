"""What is kept of each instance of a cluster, and of each custom endpoint.

Field names are the RDS API's in snake case.
Source: Amazon RDS API Reference, data types DBInstance and DBClusterEndpoint; Aurora User Guide,
"Hardware specifications for DB instance classes for Aurora".
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from cluster_runtime.control.records.model import SERVERLESS, InstanceStatus
from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import InvalidParameterError

READERS_MAX: Final = 15
TIER_MIN, TIER_MAX, TIER_DEFAULT = 0, 15, 1
FIRST_PLACE = "writer"
"""The place of a cluster's first instance, whatever it is now."""
STAND_IN_PLACE = "reader"
"""Where a reader without a name serves while no writer can."""
_RESOURCE_CHARACTERS = 26
_PLACE_CHARACTERS = 8
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_GIB_KB = 1 << 20

CustomEndpointType = Literal["READER", "ANY"]


@dataclass(frozen=True, slots=True)
class InstanceClass:
    """A provisioned class, as limits by name. memory_gib: of which the planner assumes a part.

    The machine is everybody's: a class bounds the parallel workers of an instance, its connections,
    and what the planner takes for cached.
    """

    name: str
    vcpus: int
    memory_gib: int

    @property
    def connections_max(self) -> int:
        """As Aurora's default: one for 9,531,392 bytes of memory, at most 5000."""
        return min((self.memory_gib << 30) // 9_531_392, 5000)

    @property
    def settings(self) -> Settings:
        """What a server of this class runs with; the tenant's parameters prevail."""
        return {
            "effective_cache_size": f"{self.memory_gib * _GIB_KB * 3 // 4}kB",
            "max_parallel_workers": str(self.vcpus),
            "max_parallel_workers_per_gather": str(max(1, self.vcpus // 2)),
            "max_parallel_maintenance_workers": str(max(1, self.vcpus // 2)),
        }


def _family(name: str, gib_per_vcpu: int, sizes: Mapping[str, int]) -> tuple[InstanceClass, ...]:
    return tuple(
        InstanceClass(f"db.{name}.{size}", vcpus, vcpus * gib_per_vcpu)
        for size, vcpus in sizes.items()
    )


_SIZES = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "16xlarge": 64}
PROVISIONED: Mapping[str, InstanceClass] = {
    each.name: each
    for family in (
        _family("t4g", 2, {"medium": 2}),
        _family("t4g", 4, {"large": 2}),
        _family("r6g", 8, _SIZES),
        _family("r7g", 8, _SIZES),
        _family("r8g", 8, _SIZES),
    )
    for each in family
}
INSTANCE_CLASSES = (SERVERLESS, *PROVISIONED)


def check_instance_class(name: str) -> None:
    """Raises InvalidParameterError for a class that there is not."""
    if name not in INSTANCE_CLASSES:
        raise InvalidParameterError(
            f"there is no instance class {name!r}; there are {', '.join(INSTANCE_CLASSES)}"
        )


def class_settings(name: str) -> Settings:
    """What a class makes a server run with; nothing for the serverless one."""
    known = PROVISIONED.get(name)
    return known.settings if known is not None else {}


def class_connections(name: str) -> int | None:
    """The connections that a class takes; None where only the gateway's limits count."""
    known = PROVISIONED.get(name)
    return known.connections_max if known is not None else None


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """An instance as the catalog keeps it. Which one is the writer, its cluster says.

    place: the part of its paths that is its own, which stays when it changes its role.
    zone: `a` to `c`. port: of its endpoint; 0 before it was opened.
    status: `creating` and `deleting` are finished, or undone, by the next start of a host.
    """

    db_instance_identifier: str
    dbi_resource_id: str
    db_cluster_resource_id: str
    place: str
    zone: str
    instance_create_time: datetime
    db_instance_class: str = SERVERLESS
    promotion_tier: int = TIER_DEFAULT
    port: int = 0
    status: InstanceStatus = InstanceStatus.AVAILABLE


@dataclass(frozen=True, slots=True)
class DBClusterEndpoint:
    """An endpoint of a cluster, as DescribeDBClusterEndpoints shows it.

    endpoint_type: `WRITER`, `READER` or `CUSTOM`; custom_endpoint_type: of a custom one, `READER`
    or `ANY`: whether it leads to a member that is the writer. static_members: those that it leads
    to; where there are none, to all but the excluded_members, later ones included. port: of its
    own, on 127.0.0.1.
    """

    db_cluster_endpoint_identifier: str
    db_cluster_identifier: str
    db_cluster_endpoint_resource_identifier: str
    endpoint: str
    status: str
    endpoint_type: str
    custom_endpoint_type: str = ""
    static_members: tuple[str, ...] = ()
    excluded_members: tuple[str, ...] = ()
    db_cluster_endpoint_arn: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class CustomEndpointRecord:
    """A custom endpoint as the catalog keeps it."""

    identifier: str
    resource_id: str
    db_cluster_resource_id: str
    custom_endpoint_type: CustomEndpointType = "ANY"
    static_members: tuple[str, ...] = ()
    excluded_members: tuple[str, ...] = ()
    port: int = 0


def new_instance_resource_id() -> str:
    """A DbiResourceId: `db-` and 26 random characters."""
    return "db-" + "".join(secrets.choice(_BASE32) for _ in range(_RESOURCE_CHARACTERS))


def new_endpoint_resource_id() -> str:
    """A DBClusterEndpointResourceIdentifier."""
    return "cluster-endpoint-" + "".join(
        secrets.choice(_BASE32) for _ in range(_RESOURCE_CHARACTERS)
    )


def place_of(dbi_resource_id: str) -> str:
    """The place of an instance that is not its cluster's first."""
    return dbi_resource_id[: len("db-") + _PLACE_CHARACTERS].lower()
