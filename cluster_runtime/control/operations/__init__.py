"""The operations of the control plane, each declared once; one module for each noun.

To add one: declare it here, give `ControlService` the method of its name, and run
`python -m cluster_runtime.control.operations.generate`.
"""

from cluster_runtime.control.operations import (
    clusters,
    engines,
    events,
    instances,
    resources,
    sessions,
    volumes,
)
from cluster_runtime.control.operations.comparing import diffs
from cluster_runtime.control.operations.declaration import (
    Declared,
    Request,
    declared_in,
    operation,
)
from cluster_runtime.control.operations.recovery import restoring, rewinding

OPERATIONS: tuple[Declared, ...] = declared_in(
    (
        clusters,
        restoring,
        rewinding,
        instances,
        events,
        resources,
        engines,
        sessions,
        volumes,
        diffs,
    )
)

__all__ = ["OPERATIONS", "Declared", "Request", "operation"]
