"""An operation in a few words: its span for OpenTelemetry, and what errors call it. Pure.

A span is named after the API that has the operation: `rds.CreateDBCluster`,
`borealis.PauseDBCluster`. Of the parameters identifiers alone are told: others may be passwords.
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


def in_words(request: Request) -> str:
    """It and whom it is about, as errors name them: `CreateDBInstance of 'notes-r1'`."""
    names = (each.name for each in request.declared.parameters if each.name.endswith("_identifier"))
    about = next(filter(None, (getattr(request, name) for name in names)), None)
    return request.declared.name if about is None else f"{request.declared.name} of {about!r}"
