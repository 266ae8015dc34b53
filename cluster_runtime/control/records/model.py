"""The nouns of the control plane, as the RDS API names them.

Field names are the RDS API's in snake case (`DBClusterIdentifier` -> `db_cluster_identifier`);
statuses are RDS's own words. Facts are frozen: a change makes a new value, which the catalog
stores.

Source: Amazon RDS API Reference, data types DBCluster, DBClusterMember, DBInstance and
ServerlessV2ScalingConfiguration.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from cluster_runtime.control.records.fields import check_rules
from cluster_runtime.control.records.resources import MasterUserSecret, Tag
from cluster_runtime.control.records.rules import Range
from cluster_runtime.engine.sandbox.walls import Walls
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.capacity import InstanceCapacity, MachineCapacity
from cluster_runtime.serverless.deep_pause import DEEP_PAUSE_SECONDS
from cluster_runtime.serverless.scaling.units import ACU_MAX, ACU_STEP
from cluster_runtime.storage.core.policy.past import BACKTRACK_SECONDS
from cluster_runtime.wording import Parameter

StorageType = Literal["aurora", "aurora-iopt1"]
SERVERLESS: Final = "db.serverless"
"""The class of an instance whose capacity is the cluster's range."""

ACU_OF_A_WRITER_MIN = 1
"""Least that a maximum may be."""
SECONDS_UNTIL_AUTO_PAUSE_MAX = 86_400
SECONDS_UNTIL_DEEP_PAUSE_MAX = 366 * 86_400


class ClusterStatus(StrEnum):
    """Statuses of a cluster (Aurora User Guide, "Viewing cluster status")."""

    CREATING = "creating"
    AVAILABLE = "available"
    MODIFYING = "modifying"
    FAILING_OVER = "failing-over"
    BACKTRACKING = "backtracking"
    STARTING = "starting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DELETING = "deleting"
    INCOMPATIBLE_NETWORK = "incompatible-network"


AT_REST = frozenset(
    {
        ClusterStatus.STOPPING,
        ClusterStatus.STOPPED,
        ClusterStatus.DELETING,
        ClusterStatus.INCOMPATIBLE_NETWORK,
    }
)
"""Waiting alone does not make such a cluster available."""


class InstanceStatus(StrEnum):
    """Statuses of an instance (RDS User Guide, "Viewing DB instance status")."""

    CREATING = "creating"
    AVAILABLE = "available"
    STARTING = "starting"
    REBOOTING = "rebooting"
    FAILED = "failed"
    """It does not run: its zone is lost, or it did not start."""
    STOPPED = "stopped"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class ServerlessScaling:
    """ServerlessV2ScalingConfiguration: the range of capacity, and when to pause.

    1 ACU is 2 GiB of memory and the CPU that goes with it.

    min_capacity: least ACU; 0 lets the cluster pause.
    max_capacity: most ACU; at least 1, and not below the least.
    seconds_until_auto_pause: idle seconds before a cluster with a minimum of 0 pauses; the next
        use wakes it. RDS takes 300 and more; the local runtime also takes less (for tests).
    """

    min_capacity: Annotated[float, Range(0, ACU_MAX, ACU_STEP, "ACU")] = 0.0
    max_capacity: Annotated[float, Range(ACU_OF_A_WRITER_MIN, ACU_MAX, ACU_STEP, "ACU")] = 16.0
    seconds_until_auto_pause: Annotated[int, Range(1, SECONDS_UNTIL_AUTO_PAUSE_MAX)] = 300

    def __post_init__(self) -> None:
        check_rules(self)
        if self.max_capacity < self.min_capacity:
            raise InvalidParameterError(
                Parameter("max_capacity"),
                f" is {self.max_capacity:g} ACU; it must be at least 1 and not below ",
                Parameter("min_capacity"),
                f", which is {self.min_capacity:g}",
            )

    @property
    def auto_pause(self) -> bool:
        """Whether a cluster of this range pauses when idle."""
        return self.min_capacity == 0


WarmBranchStatus = Literal["off", "preparing", "ready", "paused"]


@dataclass(frozen=True, slots=True)
class DeepPause:
    """A cluster that gave its data directory back: since when, and the bytes that it takes."""

    since: datetime
    bytes_used: int


@dataclass(frozen=True, slots=True)
class DBCluster:
    """One cluster, as DescribeDBClusters shows it.

    db_cluster_resource_id: `cluster-` and 26 characters, never used again.
    endpoint, reader_endpoint: host names under `.localhost`; `port` and `reader_port` are the
        loopback ports of their own that each of them also has.
    has_writer: whether there is an instance; without one it takes no connections.
    writer_identifier: the writer's name where it was given one.
    db_cluster_parameter_group: its name; empty for the default one of its family.
    master_user_secret: of a master password that the runtime manages.
    clone_group_id: of all clusters that were cloned from one; empty for one without a clone.
    branch_of: resource id of the cluster that it is a clone of; empty for any other.
    backup_retention_period: days for which any second can be restored.
    earliest_restorable_time, latest_restorable_time: from when to when that is possible now; None
        while it is not, or not known yet.
    backtrack_window: seconds for which it can be rewound; 0: not at all.
    backtrack_bytes_max: what that may take on the disk; None: in proportion to the database.
    earliest_backtrack_time: how far back that reaches now; None while its volume is closed.
    percent_progress: of the operation under way; None where none says.
    warm_branch: whether a standby is kept ready for its next branch, while it runs.
    warm_branch_status: `off` where none is wanted, `paused` while the cluster does not run.
    capacity: current ACU; 0 while paused.
    seconds_until_deep_pause: how long it is paused until it gives its data directory back, and the
        next connect makes it again from the volume; 0: never.
    deep_pause: what that left; None while it is not in one.
    walls: what stands around its writer, as its start put it up; None while none runs.
    serverless_v2_platform_version: which of Aurora's its capacity scales as.
    serverless_capacity: of its writer; None while none runs, or it is of a provisioned class.
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
    has_writer: bool = True
    writer_identifier: str = ""
    db_cluster_parameter_group: str = ""
    tag_list: tuple[Tag, ...] = ()
    master_user_secret: MasterUserSecret | None = None
    clone_group_id: str = ""
    branch_of: str = ""
    backup_retention_period: int = 1
    earliest_restorable_time: datetime | None = None
    latest_restorable_time: datetime | None = None
    backtrack_window: int = BACKTRACK_SECONDS
    backtrack_bytes_max: int | None = None
    earliest_backtrack_time: datetime | None = None
    percent_progress: int | None = None
    warm_branch: bool = False
    warm_branch_status: WarmBranchStatus = "off"
    capacity: float = 0.0
    seconds_until_deep_pause: int = DEEP_PAUSE_SECONDS
    deep_pause: DeepPause | None = None
    walls: Walls | None = None
    serverless_v2_platform_version: str = ""
    serverless_capacity: InstanceCapacity | None = None

    @property
    def db_cluster_arn(self) -> str:
        """The Amazon resource name, formed as RDS forms it."""
        return f"arn:aws:rds:{self.region}:000000000000:cluster:{self.db_cluster_identifier}"

    @property
    def paused(self) -> bool:
        """Available, and no process runs: the next connect wakes it."""
        return self.status is ClusterStatus.AVAILABLE and self.has_writer and self.capacity == 0


@dataclass(frozen=True, slots=True)
class LogicalReplicationSlot:
    """A slot of an instance, which keeps the log on it that its consumer has not taken yet.

    active: somebody reads it now. age_seconds: since it was first seen, about a second after its
    making or after a start of the host. log_bytes: how much log it keeps.
    """

    slot_name: str
    database: str
    plugin: str
    active: bool
    age_seconds: float
    log_bytes: int


@dataclass(frozen=True, slots=True)
class DBInstance:
    """One PostgreSQL of a cluster, as DescribeDBInstances shows it: its writer, or a reader.

    db_cluster_parameter_group_status: `pending-reboot` where static parameters wait for a start.
    db_instance_status: `stopped` while its cluster is. One of a paused cluster is available.
    promotion_tier: readers of a lower tier become the writer first, 0 to 15.
    db_instance_class: `db.serverless`, or a provisioned one.
    availability_zone: where it runs: the region and a letter.
    endpoint, port: of its own: a host name under `.localhost`, and a loopback port; empty and 0
        while it has none.
    aurora_replica_lag: milliseconds that a reader shows behind the writer, of the last second
        (CloudWatch's AuroraReplicaLag); None for a writer, and for a reader that does not run.
    serverless_capacity: what it has now; None while it does not run, or is provisioned.
    logical_replication_slots: those that it has, as they were in the last second.
    """

    db_instance_identifier: str
    db_cluster_identifier: str
    db_instance_status: InstanceStatus
    is_cluster_writer: bool
    engine: str
    engine_version: str
    instance_create_time: datetime
    db_cluster_parameter_group_status: Literal["in-sync", "pending-reboot"] = "in-sync"
    promotion_tier: int = 1
    db_instance_class: str = SERVERLESS
    availability_zone: str = ""
    endpoint: str = ""
    port: int = 0
    dbi_resource_id: str = ""
    aurora_replica_lag: float | None = None
    serverless_capacity: InstanceCapacity | None = None
    logical_replication_slots: tuple[LogicalReplicationSlot, ...] = ()


@dataclass(frozen=True, slots=True)
class HostDescription:
    """The process that hosts a state directory, as DescribeHost shows it.

    version: its release. certificate_path: of the gateway's authority, for `sslrootcert`.
    gateway_port: the port that leads to every endpoint by its name; None where there is none.
    machine_capacity: what the machine has for all serverless instances, and who has it.
    """

    version: str
    region: str
    state_directory: str
    certificate_path: str
    process_id: int
    gateway_port: int | None = None
    machine_capacity: MachineCapacity | None = None


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


@dataclass(frozen=True, slots=True)
class ClusterActivity:
    """What a cluster did until now.

    connections: established sessions at its endpoints. commits, rollbacks: transactions that ended
    since its statistics began, in all databases of the tenant; None while no writer runs.
    replica_lag_bytes: log that the slowest reader has and does not show yet; None without readers.
    cpu_cores: CPU that its instances used in the last second, in cores; None while it rests.
    """

    db_cluster_identifier: str
    connections: int
    commits: int | None = None
    rollbacks: int | None = None
    replica_lag_bytes: int | None = None
    cpu_cores: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Who uses a host. connections: through the gateway. running: clusters with a process."""

    connections: int
    running: int
