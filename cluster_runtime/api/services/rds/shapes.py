"""The nouns of the control plane as members of RDS's shapes. Pure.

Source: Amazon RDS API Reference, data types.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cluster_runtime.control.records.instances import DBClusterEndpoint
from cluster_runtime.control.records.model import DBCluster, DBInstance, Event, InstanceStatus


def db_cluster(facts: DBCluster, instances: Iterable[DBInstance]) -> Mapping[str, Any]:
    """RDS's DBCluster. instances: those of the cluster."""
    members = list(instances)
    return {
        "AllocatedStorage": 1,
        "AvailabilityZones": [f"{facts.region}{zone}" for zone in "abc"],
        "DatabaseName": facts.database_name,
        "DBClusterParameterGroup": facts.db_cluster_parameter_group
        or f"default.{facts.engine}{facts.engine_version.partition('.')[0]}",
        "DBClusterIdentifier": facts.db_cluster_identifier,
        "Status": facts.status.value,
        "Endpoint": facts.endpoint,
        "ReaderEndpoint": facts.reader_endpoint,
        "MultiAZ": len({each.availability_zone for each in members}) > 1,
        "Engine": facts.engine,
        "EngineVersion": facts.engine_version,
        "EngineMode": "provisioned",
        "Port": facts.port or None,  # it has none before its first instance
        "MasterUsername": facts.master_username,
        "DBClusterMembers": [
            {
                "DBInstanceIdentifier": each.db_instance_identifier,
                "IsClusterWriter": each.is_cluster_writer,
                "DBClusterParameterGroupStatus": each.db_cluster_parameter_group_status,
                "PromotionTier": each.promotion_tier,
            }
            for each in members
        ],
        "StorageEncrypted": False,
        "DbClusterResourceId": facts.db_cluster_resource_id,
        "DBClusterArn": facts.db_cluster_arn,
        "IAMDatabaseAuthenticationEnabled": facts.iam_database_authentication_enabled,
        "ClusterCreateTime": facts.cluster_create_time,
        "BackupRetentionPeriod": facts.backup_retention_period,
        "EarliestRestorableTime": facts.earliest_restorable_time,
        "LatestRestorableTime": facts.latest_restorable_time,
        "StorageType": facts.storage_type,
        "DeletionProtection": facts.deletion_protection,
        "HttpEndpointEnabled": False,
        "BacktrackWindow": facts.backtrack_window,
        "EarliestBacktrackTime": facts.earliest_backtrack_time,
        "PercentProgress": None if facts.percent_progress is None else str(facts.percent_progress),
        "CloneGroupId": facts.clone_group_id or None,
        "CrossAccountClone": False,
        "NetworkType": "IPV4",
        "ServerlessV2ScalingConfiguration": {
            "MinCapacity": facts.scaling.min_capacity,
            "MaxCapacity": facts.scaling.max_capacity,
            "SecondsUntilAutoPause": facts.scaling.seconds_until_auto_pause,
        },
        "ServerlessV2PlatformVersion": facts.serverless_v2_platform_version or None,
        "TagList": tags(facts),
        "MasterUserSecret": _secret(facts),
        "VPCNetworkingEnabled": False,
        "InternetAccessGatewayEnabled": facts.internet_access_gateway_enabled,
    }


def db_instance(facts: DBInstance, cluster: DBCluster) -> Mapping[str, Any]:
    """RDS's DBInstance."""
    return {
        "DBInstanceIdentifier": facts.db_instance_identifier,
        "DBInstanceClass": facts.db_instance_class,
        "Engine": facts.engine,
        "EngineVersion": facts.engine_version,
        "DBInstanceStatus": facts.db_instance_status.value,
        "MasterUsername": cluster.master_username,
        "DBName": cluster.database_name,
        "Endpoint": {"Address": facts.endpoint, "Port": facts.port}
        if facts.db_instance_status is not InstanceStatus.DELETING
        else None,
        "AllocatedStorage": 1,
        "InstanceCreateTime": facts.instance_create_time,
        "AvailabilityZone": facts.availability_zone,
        "MultiAZ": False,
        "PubliclyAccessible": False,
        "StorageType": cluster.storage_type,
        "StorageEncrypted": False,
        "DBClusterIdentifier": facts.db_cluster_identifier,
        "DBInstanceArn": (
            f"arn:aws:rds:{cluster.region}:000000000000:db:{facts.db_instance_identifier}"
        ),
        "IAMDatabaseAuthenticationEnabled": cluster.iam_database_authentication_enabled,
        "PromotionTier": facts.promotion_tier,
        "DbiResourceId": facts.dbi_resource_id,
        "DeletionProtection": False,
        "TagList": tags(cluster),
        "MasterUserSecret": _secret(cluster),
    }


def event(happened: Event, arn: str | None) -> Mapping[str, Any]:
    """RDS's Event. arn: of the cluster, where it still exists."""
    return {
        "SourceIdentifier": happened.source_identifier,
        "SourceType": happened.source_type,
        "Message": happened.message,
        "EventCategories": list(happened.event_categories),
        "Date": happened.date,
        "SourceArn": arn,
    }


def tags(facts: DBCluster) -> list[Mapping[str, str]]:
    """The tags of a cluster and of its instances."""
    return [{"Key": each.key, "Value": each.value} for each in facts.tag_list]


def _secret(facts: DBCluster) -> Mapping[str, str] | None:
    secret = facts.master_user_secret
    if secret is None:
        return None
    return {"SecretArn": secret.secret_arn, "SecretStatus": secret.secret_status}


def cluster_endpoint(facts: DBClusterEndpoint) -> Mapping[str, Any]:
    """RDS's DBClusterEndpoint; an endpoint of the cluster's own has no identifier."""
    custom = facts.endpoint_type == "CUSTOM"
    members = {
        "DBClusterEndpointIdentifier": facts.db_cluster_endpoint_identifier,
        "DBClusterEndpointResourceIdentifier": facts.db_cluster_endpoint_resource_identifier,
        "CustomEndpointType": facts.custom_endpoint_type,
        "DBClusterEndpointArn": facts.db_cluster_endpoint_arn,
        "StaticMembers": list(facts.static_members),
        "ExcludedMembers": list(facts.excluded_members),
    }
    return {
        "DBClusterIdentifier": facts.db_cluster_identifier,
        "Endpoint": facts.endpoint,
        "Status": facts.status,
        "EndpointType": facts.endpoint_type,
        **(members if custom else {}),
    }
