"""Members of RDS's shapes that are taken and mean nothing on one machine."""

from collections.abc import Mapping

WITHOUT_EFFECT: Mapping[str, frozenset[str]] = {
    "CreateDBCluster": frozenset(
        {
            "AutoMinorVersionUpgrade",
            "AvailabilityZones",
            "BackupRetentionPeriod",
            "CACertificateIdentifier",
            "CopyTagsToSnapshot",
            "DBSubnetGroupName",
            "DatabaseInsightsMode",
            "EnableCloudwatchLogsExports",
            "EnableHttpEndpoint",
            "EnablePerformanceInsights",
            "EngineLifecycleSupport",
            "MonitoringInterval",
            "NetworkType",
            "PreferredBackupWindow",
            "PreferredMaintenanceWindow",
            "PubliclyAccessible",
            "VpcSecurityGroupIds",
        }
    ),
    "CreateDBInstance": frozenset(
        {
            "AutoMinorVersionUpgrade",
            "AvailabilityZone",
            "CACertificateIdentifier",
            "CopyTagsToSnapshot",
            "EnablePerformanceInsights",
            "MonitoringInterval",
            "PromotionTier",
            "PubliclyAccessible",
            "Tags",
        }
    ),
    "DeleteDBInstance": frozenset({"DeleteAutomatedBackups"}),
    "RebootDBInstance": frozenset({"ForceFailover"}),
    "DeleteDBCluster": frozenset({"DeleteAutomatedBackups"}),
    "DescribeDBClusters": frozenset({"IncludeShared"}),
    "DescribeDBEngineVersions": frozenset(
        {"IncludeAll", "ListSupportedCharacterSets", "ListSupportedTimezones"}
    ),
    "DescribeOrderableDBInstanceOptions": frozenset({"Vpc"}),
    "RestoreDBClusterToPointInTime": frozenset(
        {
            "CopyTagsToSnapshot",
            "DBSubnetGroupName",
            "EnableCloudwatchLogsExports",
            "EngineLifecycleSupport",
            "NetworkType",
            "PubliclyAccessible",
            "VpcSecurityGroupIds",
        }
    ),
    "ModifyDBCluster": frozenset({"ApplyImmediately", "CopyTagsToSnapshot"}),
}
