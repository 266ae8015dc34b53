"""Names of the roles that every cluster has (`cluster_runtime.engine.access.roles` makes them)."""

SUPERUSER = "rdsadmin"
MASTER = "postgres"
READER = "borealis_reader"
IAM_ROLE = "rds_iam"
RDS_SUPERUSER = "rds_superuser"
GRANTOR = "rds_grantor"
RUNTIME_ROLES = (RDS_SUPERUSER, IAM_ROLE, GRANTOR, READER)
RESERVED_ROLES = frozenset({SUPERUSER, *RUNTIME_ROLES})
