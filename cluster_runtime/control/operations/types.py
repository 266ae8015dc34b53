"""Types of parameters that several operations have."""

from typing import Annotated

from cluster_runtime.control.operations.declaration import Earlier, Result
from cluster_runtime.control.records.fields import SECRET, Doc
from cluster_runtime.control.records.identifiers import (
    check_identifier,
    check_snapshot_identifier,
)
from cluster_runtime.control.records.rules import Must, Range, check_password

ClusterReference = Annotated[
    str, Doc("Identifier of the cluster, or its resource id."), Earlier("identifier")
]
NewClusterIdentifier = Annotated[
    str,
    Must(check_identifier),
    Doc(
        "Identifier: 1 to 63 letters, digits and hyphens, starting with a letter, not ending with "
        "a hyphen and without two in a row; case does not matter."
    ),
]
ResourceName = Annotated[str, Doc("ARN of the resource: of a cluster, or of one of its instances.")]
RETENTION_MIN_DAYS, RETENTION_MAX_DAYS = 1, 35
RetentionDays = Range(RETENTION_MIN_DAYS, RETENTION_MAX_DAYS)
SnapshotReference = Annotated[str, Doc("Identifier of the snapshot.")]
NewSnapshotIdentifier = Annotated[
    str,
    Must(check_snapshot_identifier),
    Doc("Identifier of the new snapshot, formed as those of clusters are, with 255 characters."),
]
Password = Annotated[str, Must(check_password), SECRET]

MODEL = "cluster_runtime.control.records.model"
DB_CLUSTER = Result(MODEL, "DBCluster")
DB_CLUSTERS = Result(MODEL, "DBCluster", many=True)
DB_INSTANCE = Result(MODEL, "DBInstance")
DB_INSTANCES = Result(MODEL, "DBInstance", many=True)
INSTANCES = "cluster_runtime.control.records.instances"
CLUSTER_ENDPOINT = Result(INSTANCES, "DBClusterEndpoint")
CLUSTER_ENDPOINTS = Result(INSTANCES, "DBClusterEndpoint", many=True)
EVENTS = Result(MODEL, "Event", many=True)
HANDLE = Result("cluster_runtime.control.handle", "ClusterHandle", protocol_name="Cluster")
VOLUME = Result("cluster_runtime.storage.description", "VolumeDescription")
RESOURCES = "cluster_runtime.control.records.resources"
TAGS = Result(RESOURCES, "Tag", many=True)
MAINTENANCE = Result(RESOURCES, "ResourcePendingMaintenanceActions", many=True)
ENGINE_VERSIONS = Result(RESOURCES, "DBEngineVersion", many=True)
OPTIONS = Result(RESOURCES, "OrderableDBInstanceOption", many=True)
GROUPS = "cluster_runtime.control.records.parameter_groups"
PARAMETER_GROUP = Result(GROUPS, "DBClusterParameterGroup")
PARAMETER_GROUPS = Result(GROUPS, "DBClusterParameterGroup", many=True)
PARAMETERS = Result(GROUPS, "DBParameter", many=True)
LOG_FILES = Result(RESOURCES, "DescribeDBLogFilesDetails", many=True)
LOG_FILE_PORTION = Result(RESOURCES, "DBLogFilePortion")
SECRET_VALUE = Result(RESOURCES, "MasterUserSecretValue")
HOST = Result(MODEL, "HostDescription")
SESSIONS = Result("cluster_runtime.gateway.description", "SessionDescription", many=True)
ACTIVITY = Result(MODEL, "ClusterActivity")
BACKUPS = "cluster_runtime.control.records.recovery.backups"
SNAPSHOT = Result(BACKUPS, "DBClusterSnapshot")
SNAPSHOTS = Result(BACKUPS, "DBClusterSnapshot", many=True)
AUTOMATED_BACKUP = Result(BACKUPS, "DBClusterAutomatedBackup")
AUTOMATED_BACKUPS = Result(BACKUPS, "DBClusterAutomatedBackup", many=True)
BACKUP_STORE = Result(BACKUPS, "BackupStore")
BILL = Result("cluster_runtime.serverless.metering.bill", "Bill")
MEASURED = "cluster_runtime.serverless.metrics.results"
METRICS_LISTED = Result(MEASURED, "ListedMetric", many=True)
METRIC_SERIES = Result(MEASURED, "MetricSeries", many=True)
DIFFS = "cluster_runtime.diff.results"
SCHEMA_DIFF = Result(DIFFS, "SchemaDiff")
DATA_DIFF = Result(DIFFS, "DataDiff")
