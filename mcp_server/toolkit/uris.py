"""The URIs of what a server has as resources."""

from urllib.parse import quote

CLUSTER_URI = "cluster://{id}"
TABLE_URI = "schema://{id}/{schema}/{table}"


def cluster_uri(name: str) -> str:
    """The resource of a cluster."""
    return CLUSTER_URI.format(id=quote(name, safe=""))


def tables_uri(cluster: str) -> str:
    """What the resources of all its tables begin with."""
    return f"schema://{quote(cluster, safe='')}/"
