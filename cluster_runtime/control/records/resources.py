"""Nouns beside clusters and instances: tags, engine versions, maintenance, log files, secrets.

Field names are the RDS API's in snake case, and so are the texts of their values.
Source: Amazon RDS API Reference, data types.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from cluster_runtime.errors import InvalidParameterError

TAGS_MAX = 50
TAG_KEY_MAX_CHARACTERS = 128
TAG_VALUE_MAX_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Tag:
    """A word about a resource, which means nothing to the runtime. key: unique in a resource."""

    key: str
    value: str = ""

    def __post_init__(self) -> None:
        """Raises InvalidParameterError for a key that is empty, reserved or too long."""
        if not 1 <= len(self.key) <= TAG_KEY_MAX_CHARACTERS or self.key.startswith("aws:"):
            raise InvalidParameterError(
                f"tag key {self.key!r} must have 1 to {TAG_KEY_MAX_CHARACTERS} characters and not "
                "begin with aws:"
            )
        if len(self.value) > TAG_VALUE_MAX_CHARACTERS:
            raise InvalidParameterError(
                f"the value of tag {self.key!r} has more than {TAG_VALUE_MAX_CHARACTERS} characters"
            )

    @classmethod
    def parse(cls, text: str) -> "Tag":
        """One that is written as `key=value`."""
        key, _, value = text.partition("=")
        return cls(key, value)


@dataclass(frozen=True, slots=True)
class UpgradeTarget:
    """A version that clusters of another one can be brought to."""

    engine: str
    engine_version: str
    description: str
    auto_upgrade: bool = False
    is_major_version_upgrade: bool = False


@dataclass(frozen=True, slots=True)
class DBEngineVersion:
    """A PostgreSQL that new clusters may have, as DescribeDBEngineVersions shows it."""

    engine: str
    engine_version: str
    major_engine_version: str
    db_parameter_group_family: str
    db_engine_description: str
    db_engine_version_description: str
    valid_upgrade_target: tuple[UpgradeTarget, ...] = ()
    status: str = "available"
    supported_engine_modes: tuple[str, ...] = ("provisioned",)
    supports_log_exports_to_cloudwatch_logs: bool = False
    supports_read_replica: bool = False
    supports_global_databases: bool = False
    supports_parallel_query: bool = False


@dataclass(frozen=True, slots=True)
class OrderableDBInstanceOption:
    """A class of instances that clusters may have."""

    engine: str
    engine_version: str
    db_instance_class: str
    storage_type: str
    license_model: str = "postgresql-license"
    multi_az_capable: bool = False
    read_replica_capable: bool = True
    vpc: bool = False
    supports_storage_encryption: bool = False
    supports_iops: bool = False
    supports_iam_database_authentication: bool = True
    supports_performance_insights: bool = False
    supports_enhanced_monitoring: bool = False
    supported_engine_modes: tuple[str, ...] = ("provisioned",)
    supports_storage_autoscaling: bool = False
    supports_clusters: bool = True
    supports_global_databases: bool = False


@dataclass(frozen=True, slots=True)
class PendingMaintenanceAction:
    """Something that will be done to a resource. action: RDS's word, such as `db-upgrade`."""

    action: str
    description: str


@dataclass(frozen=True, slots=True)
class ResourcePendingMaintenanceActions:
    """What will be done to one resource. resource_identifier: its ARN."""

    resource_identifier: str
    pending_maintenance_action_details: tuple[PendingMaintenanceAction, ...]


@dataclass(frozen=True, slots=True)
class DescribeDBLogFilesDetails:
    """A log file of an instance. last_written: milliseconds since 1970. size: bytes."""

    log_file_name: str
    last_written: int
    size: int


@dataclass(frozen=True, slots=True)
class DBLogFilePortion:
    """A part of a log file. marker: asks for what follows."""

    log_file_data: str
    marker: str
    additional_data_pending: bool


@dataclass(frozen=True, slots=True)
class MasterUserSecret:
    """A master password that the runtime manages. secret_arn: names it; version: counts it."""

    secret_arn: str
    version: int
    secret_status: Literal["active"] = "active"


@dataclass(frozen=True, slots=True)
class MasterUserSecretValue:
    """The same with what it holds."""

    secret_arn: str
    name: str
    version: int
    created_date: datetime
    db_cluster_identifier: str
    username: str
    password: str = field(repr=False)
