"""The span of an operation, for OpenTelemetry: its name and what it says. Pure.

Named after the API that has the operation: `rds.CreateDBCluster`, `borealis.PauseDBCluster`. Of the
parameters it has the identifiers alone: others may be passwords.
"""

from cluster_runtime.control.operations.declaration import Request
from cluster_runtime.tracing import ON_POSTGRESQL, Attributes

CLUSTER = "aws.rds.db_cluster_identifier"
INSTANCE = "aws.rds.db_instance_identifier"


def name_of(request: Request) -> str:
    """The name of its span."""
    return f"{'borealis' if request.declared.ours else 'rds'}.{request.declared.name}"


def attributes_of(request: Request, region: str) -> Attributes:
    """The attributes of its span; None for those that the operation does not have."""
    return {
        **ON_POSTGRESQL,
        "aws.region": region,
        CLUSTER: getattr(request, "db_cluster_identifier", None),
        INSTANCE: getattr(request, "db_instance_identifier", None),
    }
