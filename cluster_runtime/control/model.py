"""The nouns of the control plane, as the RDS API names them.

Field names are the RDS API's in snake case (`DBClusterIdentifier` -> `db_cluster_identifier`);
statuses are RDS's own words. Facts are frozen: a change makes a new value, which the catalog
stores.

Source: Amazon RDS API Reference, data types DBCluster, DBClusterMember and
ServerlessV2ScalingConfiguration.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from cluster_runtime.engine.walls import Walls
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.wording import Parameter

EndpointKind = Literal["writer", "reader"]
StorageType = Literal["aurora", "aurora-iopt1"]

ACU_MAX = 256.0
ACU_STEP = 0.5
SECONDS_UNTIL_AUTO_PAUSE_MIN = 300
SECONDS_UNTIL_AUTO_PAUSE_MAX = 86_400


class ClusterStatus(StrEnum):
    """Statuses of a cluster (Aurora User Guide, "Viewing cluster status")."""

    CREATING = "creating"
    AVAILABLE = "available"
    MODIFYING = "modifying"
    FAILING_OVER = "failing-over"
    STARTING = "starting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"
    INCOMPATIBLE_NETWORK = "incompatible-network"


@dataclass(frozen=True, slots=True)
class ServerlessScaling:
    """ServerlessV2ScalingConfiguration: the range of capacity, and when to pause.

    min_capacity, max_capacity: ACU (1 ACU is 2 GiB of memory and the CPU that goes with it),
        0 to 256 in steps of 0.5; a minimum of 0 allows auto-pause.
    seconds_until_auto_pause: idle seconds before a cluster with a minimum of 0 pauses. RDS takes
        300 to 86,400; the local runtime also takes less, down to 1 (for tests and demos).
    """

    min_capacity: float = 0.0
    max_capacity: float = 16.0
    seconds_until_auto_pause: int = 300

    def __post_init__(self) -> None:
        for name, value in (
            ("min_capacity", self.min_capacity),
            ("max_capacity", self.max_capacity),
        ):
            if not 0 <= value <= ACU_MAX or value % ACU_STEP:
                raise InvalidParameterError(
                    Parameter(name),
                    f" is {value} ACU; it must be from 0 to {ACU_MAX:g} in steps of {ACU_STEP}",
                )
        if self.max_capacity < max(self.min_capacity, 1):
            raise InvalidParameterError(
                Parameter("max_capacity"),
                f" is {self.max_capacity:g} ACU; it must be at least 1 and not below ",
                Parameter("min_capacity"),
                f", which is {self.min_capacity:g}",
            )
        if not 1 <= self.seconds_until_auto_pause <= SECONDS_UNTIL_AUTO_PAUSE_MAX:
            raise InvalidParameterError(
                Parameter("seconds_until_auto_pause"),
                f" is {self.seconds_until_auto_pause}; it must be from 1 "
                f"to {SECONDS_UNTIL_AUTO_PAUSE_MAX}",
            )

    @property
    def auto_pause(self) -> bool:
        """Whether a cluster of this range pauses when idle."""
        return self.min_capacity == 0


@dataclass(frozen=True, slots=True)
class DBCluster:
    """One cluster, as DescribeDBClusters shows it.

    db_cluster_resource_id: `cluster-` and 26 characters, never used again.
    endpoint, reader_endpoint: host names under `.localhost`; `port` and `reader_port` are the
        loopback ports of their own that each of them also has.
    capacity: current ACU; 0 while paused.
    walls: what stands around its writer, as its start put it up; None while none runs.
    """

    db_cluster_identifier: str
    db_cluster_resource_id: str
    status: ClusterStatus
    engine: str
    engine_version: str
    database_name: str
    master_username: str
    endpoint: str
    reader_endpoint: str
    port: int
    reader_port: int
    region: str
    cluster_create_time: datetime
    scaling: ServerlessScaling = field(default_factory=ServerlessScaling)
    express_configuration: bool = True
    iam_database_authentication_enabled: bool = True
    require_tls: bool = True
    internet_access_gateway_enabled: bool = True
    deletion_protection: bool = False
    storage_type: StorageType = "aurora"
    port_was_requested: bool = False
    capacity: float = 0.0
    walls: Walls | None = None

    @property
    def db_cluster_arn(self) -> str:
        """The Amazon resource name, formed as RDS forms it."""
        return f"arn:aws:rds:{self.region}:000000000000:cluster:{self.db_cluster_identifier}"

    @property
    def paused(self) -> bool:
        """Available, and no process runs: the next connect wakes it."""
        return self.status is ClusterStatus.AVAILABLE and self.capacity == 0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a cluster, as DescribeEvents shows it.

    event_categories: RDS's words, such as `security` or `configuration change`. date: aware.
    Source: Amazon RDS API Reference, data type Event.
    """

    source_identifier: str
    source_type: Literal["db-cluster"]
    message: str
    event_categories: tuple[str, ...]
    date: datetime
