"""Amazon RDS as this endpoint has it: each operation of the runtime, in RDS's shapes."""

from cluster_runtime.api.services.rds.operations import rds_operations

__all__ = ["rds_operations"]
