"""Borealis under one name: what `cluster_runtime`, `memory` and `mcp_server.nl2sql` make public.

`from borealis import Runtime, BorealisSaver, Translator` loads the parts that are named, and no
others. Raises MissingExtraError for a name whose extra is not installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster_runtime import (
        AsyncRuntime,
        BorealisError,
        Cluster,
        ClusterHandle,
        ClusterStatus,
        ControlPlane,
        DBCluster,
        DBInstance,
        DBParameter,
        EndpointUnreachableError,
        GatewayLimits,
        HostClient,
        HostedBy,
        RdsControlPlane,
        Runtime,
        ServerlessScaling,
        SessionDescription,
        Tag,
    )
    from mcp_server.nl2sql import SemanticLayer, Translation, Translator
    from memory import (
        BorealisChatMessageHistory,
        BorealisSaver,
        BorealisStore,
        BorealisVectorStore,
        CachedEmbeddings,
        Fork,
        HashEmbeddings,
        LocalEmbeddings,
        MovedThread,
        RememberedItem,
        ThreadSummary,
        Unreadable,
        VectorIndex,
        init_embeddings,
        pg_engine,
    )

__all__ = [
    "AsyncRuntime",
    "BorealisChatMessageHistory",
    "BorealisError",
    "BorealisSaver",
    "BorealisStore",
    "BorealisVectorStore",
    "CachedEmbeddings",
    "Cluster",
    "ClusterHandle",
    "ClusterStatus",
    "ControlPlane",
    "DBCluster",
    "DBInstance",
    "DBParameter",
    "EndpointUnreachableError",
    "Fork",
    "GatewayLimits",
    "HashEmbeddings",
    "HostClient",
    "HostedBy",
    "LocalEmbeddings",
    "MovedThread",
    "RdsControlPlane",
    "RememberedItem",
    "Runtime",
    "SemanticLayer",
    "ServerlessScaling",
    "SessionDescription",
    "Tag",
    "ThreadSummary",
    "Translation",
    "Translator",
    "Unreadable",
    "VectorIndex",
    "init_embeddings",
    "pg_engine",
]

_MEMORY = frozenset(
    {
        "BorealisChatMessageHistory",
        "BorealisSaver",
        "BorealisStore",
        "BorealisVectorStore",
        "pg_engine",
        "CachedEmbeddings",
        "HashEmbeddings",
        "LocalEmbeddings",
        "init_embeddings",
        "Fork",
        "MovedThread",
        "RememberedItem",
        "ThreadSummary",
        "Unreadable",
        "VectorIndex",
    }
)
_QUESTIONS = frozenset({"SemanticLayer", "Translation", "Translator"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "cluster_runtime"
    if name in _MEMORY:
        home = "memory"
    elif name in _QUESTIONS:
        home = "mcp_server.nl2sql"
    return getattr(import_module(home), name)
