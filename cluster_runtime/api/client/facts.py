"""RDS's shapes as the nouns of the control plane, and calls of it as RDS's members. Pure.

What RDS does not say has the value that fits Amazon Aurora.
"""

from collections.abc import Mapping
from typing import Any

from cluster_runtime.api.protocols.nouns import from_value, to_value
from cluster_runtime.control.operations import Request
from cluster_runtime.control.operations.declaration import RDS_HAS_NONE, InRds, snake_case
from cluster_runtime.control.records.fields import fields_of
from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    DBInstance,
    Event,
    InstanceStatus,
    ServerlessScaling,
)
from cluster_runtime.control.records.resources import MasterUserSecret, Tag

ACU_AT_LEAST = 0.5
_AVAILABLE_TOO = frozenset({"backing-up", "backtracking", "maintenance", "storage-optimization"})
"""Statuses of Amazon's in which a cluster takes connections."""


def members_of(request: Request, shape: Any) -> dict[str, Any]:
    """The members of RDS's input shape for a call; what is not given stays away.

    Where RDS has another default than the runtime, the value is always said. Raises nothing: what
    RDS has not is left out (`beyond_rds`).
    """
    names = {snake_case(name): name for name in shape.members}
    found = {}
    for each in fields_of(type(request)):
        value = getattr(request, each.name)
        said = any(isinstance(note, InRds) for note in each.notes) or value != each.default
        if each.name in names and value is not None and said:
            found[names[each.name]] = to_value(value, shape.members[names[each.name]])
    return found


def beyond_rds(request: Request) -> list[str]:
    """Parameters of a call that are given and that RDS has not."""
    return [
        each.name
        for each in fields_of(type(request))
        if RDS_HAS_NONE in each.notes and getattr(request, each.name) != each.default
    ]


def db_cluster(shape: Mapping[str, Any]) -> DBCluster:
    """RDS's DBCluster."""
    secret = shape.get("MasterUserSecret")
    status = _cluster_status(shape["Status"])
    members = shape.get("DBClusterMembers", ())
    writers = [each["DBInstanceIdentifier"] for each in members if each["IsClusterWriter"]]
    limits = shape.get("ServerlessV2ScalingConfiguration", {})
    scaling = ServerlessScaling(
        limits.get("MinCapacity", ACU_AT_LEAST),
        limits.get("MaxCapacity", ServerlessScaling().max_capacity),
        limits.get("SecondsUntilAutoPause", ServerlessScaling().seconds_until_auto_pause),
    )
    return DBCluster(
        db_cluster_identifier=shape["DBClusterIdentifier"],
        db_cluster_resource_id=shape["DbClusterResourceId"],
        status=status,
        engine=shape["Engine"],
        engine_version=shape["EngineVersion"],
        database_name=shape.get("DatabaseName", "postgres"),
        master_username=shape["MasterUsername"],
        endpoint=shape["Endpoint"],
        reader_endpoint=shape.get("ReaderEndpoint", shape["Endpoint"]),
        port=shape.get("Port", 0),
        reader_port=shape.get("Port", 0),
        region=shape["DBClusterArn"].split(":")[3],
        cluster_create_time=shape["ClusterCreateTime"],
        scaling=scaling,
        db_cluster_parameter_group=_group(shape.get("DBClusterParameterGroup", "")),
        has_writer=bool(writers),
        writer_identifier=next(iter(writers), ""),
        express_configuration=shape.get("InternetAccessGatewayEnabled", False),
        iam_database_authentication_enabled=shape.get("IAMDatabaseAuthenticationEnabled", False),
        internet_access_gateway_enabled=shape.get("InternetAccessGatewayEnabled", True),
        deletion_protection=shape.get("DeletionProtection", False),
        storage_type=shape.get("StorageType") or "aurora",
        backup_retention_period=shape.get("BackupRetentionPeriod", 1),
        earliest_restorable_time=shape.get("EarliestRestorableTime"),
        latest_restorable_time=shape.get("LatestRestorableTime"),
        percent_progress=int(shape["PercentProgress"]) if shape.get("PercentProgress") else None,
        backtrack_window=shape.get("BacktrackWindow") or 0,
        earliest_backtrack_time=shape.get("EarliestBacktrackTime"),
        clone_group_id=shape.get("CloneGroupId") or "",
        tag_list=from_value(tuple[Tag, ...], shape.get("TagList", ())),
        # RDS does not count the versions of a password.
        master_user_secret=MasterUserSecret(secret["SecretArn"], 1) if secret else None,
        serverless_v2_platform_version=shape.get("ServerlessV2PlatformVersion") or "",
        # CloudWatch has the figure of this moment; none is paused as far as this API says.
        capacity=max(scaling.min_capacity, ACU_AT_LEAST)
        if status is ClusterStatus.AVAILABLE
        else 0.0,
    )


def db_instance(shape: Mapping[str, Any], *, is_writer: bool) -> DBInstance:
    """RDS's DBInstance. is_writer: its cluster's members say it."""
    stopped = shape.get("DBInstanceStatus") in ("stopped", "stopping")
    return DBInstance(
        db_instance_identifier=shape["DBInstanceIdentifier"],
        db_cluster_identifier=shape["DBClusterIdentifier"],
        db_instance_status=InstanceStatus.STOPPED if stopped else InstanceStatus.AVAILABLE,
        is_cluster_writer=is_writer,
        engine=shape["Engine"],
        engine_version=shape["EngineVersion"],
        instance_create_time=shape["InstanceCreateTime"],
        promotion_tier=shape.get("PromotionTier", 1),
        db_instance_class=shape["DBInstanceClass"],
        availability_zone=shape.get("AvailabilityZone", ""),
        endpoint=shape.get("Endpoint", {}).get("Address", ""),
        port=shape.get("Endpoint", {}).get("Port", 0),
        dbi_resource_id=shape.get("DbiResourceId", ""),
    )


def event(shape: Mapping[str, Any]) -> Event:
    """RDS's Event, of a cluster."""
    return Event(
        source_identifier=shape["SourceIdentifier"],
        source_type="db-cluster",
        message=shape["Message"],
        event_categories=tuple(shape.get("EventCategories", ())),
        date=shape["Date"],
    )


def _group(name: str) -> str:
    return "" if name.startswith("default.") else name


def _cluster_status(status: str) -> ClusterStatus:
    if status in _AVAILABLE_TOO:
        return ClusterStatus.AVAILABLE
    try:
        return ClusterStatus(status)
    except ValueError:
        return ClusterStatus.MODIFYING  # something is under way that this release has no word for
