"""Real PostgreSQL clusters, Aurora-style, hosted in one Python process."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cluster_runtime.moved import MOVED, MovedModules

if TYPE_CHECKING:
    from cluster_runtime.api import EndpointUnreachableError, HostClient, RdsControlPlane
    from cluster_runtime.control.plane import Cluster, ControlPlane
    from cluster_runtime.control.records.model import (
        ClusterStatus,
        DBCluster,
        DBInstance,
        ServerlessScaling,
    )
    from cluster_runtime.control.records.parameter_groups import DBParameter
    from cluster_runtime.control.records.resources import Tag
    from cluster_runtime.errors import BorealisError
    from cluster_runtime.gateway import GatewayLimits, SessionDescription
    from cluster_runtime.runtime import AsyncRuntime, ClusterHandle, HostedBy, Runtime

__all__ = [
    "AsyncRuntime",
    "BorealisError",
    "Cluster",
    "ClusterHandle",
    "ClusterStatus",
    "ControlPlane",
    "DBCluster",
    "DBInstance",
    "DBParameter",
    "EndpointUnreachableError",
    "GatewayLimits",
    "HostClient",
    "HostedBy",
    "RdsControlPlane",
    "Runtime",
    "ServerlessScaling",
    "SessionDescription",
    "Tag",
]

_HOME = {
    "AsyncRuntime": "runtime",
    "BorealisError": "errors",
    "Cluster": "control.plane",
    "ClusterHandle": "runtime",
    "ClusterStatus": "control.records.model",
    "ControlPlane": "control.plane",
    "DBCluster": "control.records.model",
    "DBInstance": "control.records.model",
    "DBParameter": "control.records.parameter_groups",
    "EndpointUnreachableError": "api",
    "GatewayLimits": "gateway",
    "HostedBy": "runtime",
    "HostClient": "api",
    "RdsControlPlane": "api",
    "Runtime": "runtime",
    "ServerlessScaling": "control.records.model",
    "SessionDescription": "gateway",
    "Tag": "control.records.resources",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the storage simulation needs no botocore, and no command line waits.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


sys.meta_path.insert(0, MovedModules(MOVED))
