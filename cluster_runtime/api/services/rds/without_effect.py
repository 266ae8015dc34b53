"""Members of RDS's shapes that are taken and mean nothing on one machine."""

from collections.abc import Mapping

APPLY_IMMEDIATELY = "ApplyImmediately"
ANYWHERE = frozenset(
    {
        APPLY_IMMEDIATELY,
        "AutoMinorVersionUpgrade",
        "AvailabilityZone",
        "AvailabilityZones",
        "CACertificateIdentifier",
        "CloudwatchLogsExportConfiguration",
        "CopyTagsToSnapshot",
        "DBSubnetGroupName",
        "DatabaseInsightsMode",
        "DeleteAutomatedBackups",
        "EnableCloudwatchLogsExports",
        "EnableHttpEndpoint",
        "EnablePerformanceInsights",
        "EngineLifecycleSupport",
        "IncludePublic",
        "IncludeShared",
        "MonitoringInterval",
        "NetworkType",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "PubliclyAccessible",
        "Vpc",
        "VpcSecurityGroupIds",
    }
)
"""Of every operation that has them and does not take them."""

OF_ONE: Mapping[str, frozenset[str]] = {
    "CreateDBInstance": frozenset({"Tags"}),
    "RestoreDBClusterFromSnapshot": frozenset({"EngineVersion"}),
    "RebootDBInstance": frozenset({"ForceFailover"}),
    "DescribeDBEngineVersions": frozenset(
        {"IncludeAll", "ListSupportedCharacterSets", "ListSupportedTimezones"}
    ),
}


def without_effect(operation: str) -> frozenset[str]:
    """Those of an operation, unless it takes them."""
    return ANYWHERE | OF_ONE.get(operation, frozenset())
