"""The URIs of what a server has as resources."""

from urllib.parse import quote

CLUSTER_URI = "cluster://{id}"
TABLE_URI = "schema://{id}/{schema}/{table}"
MEMORY_URI = "memory://{scope}"
MEMORY_OF_CLUSTER_URI = "memory://{id}/{scope}"


def cluster_uri(name: str) -> str:
    """The resource of a cluster."""
    return CLUSTER_URI.format(id=quote(name, safe=""))


def tables_uri(cluster: str) -> str:
    """What the resources of all its tables begin with."""
    return f"schema://{quote(cluster, safe='')}/"


def memory_uris(cluster: str | None, scope: str) -> tuple[str, ...]:
    """The resource of a scope's core blocks, in the ways in which clients write it.

    cluster: where they are, unless the server has one place for all memories.
    """
    begin = "memory://" if cluster is None else f"memory://{quote(cluster, safe='')}/"
    return tuple(dict.fromkeys(begin + quote(scope, safe=kept) for kept in (":@", "")))
