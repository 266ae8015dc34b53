"""Names: the rules RDS has for identifiers, and the endpoints formed from them.

Source: Amazon RDS API Reference, CreateDBCluster, DBClusterIdentifier and MasterUsername.
"""

import difflib
import itertools
import re
import secrets
from collections.abc import Collection, Iterable

from cluster_runtime.engine.access.role_names import RESERVED_ROLES
from cluster_runtime.errors import (
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    InvalidParameterError,
)
from cluster_runtime.wording import Hint, Operation, Said

IDENTIFIER_MAX_CHARACTERS = 63
SNAPSHOT_IDENTIFIER_MAX_CHARACTERS = 255
ROLE_MAX_CHARACTERS = 63
RESOURCE_ID_CHARACTERS = 26
_ENDPOINT_HASH_CHARACTERS = 12
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def check_identifier(
    identifier: str, what: str = "cluster", most: int = IDENTIFIER_MAX_CHARACTERS
) -> str:
    """The identifier as RDS stores it, in lower case. Raises InvalidParameterError."""
    problem = None
    if not 1 <= len(identifier) <= most:
        problem = f"must have 1 to {most} characters, not {len(identifier)}"
    elif not re.fullmatch(r"[A-Za-z0-9-]+", identifier, re.ASCII):
        problem = "may hold only letters, digits and hyphens"
    elif not identifier[0].isalpha():
        problem = "must begin with a letter"
    elif identifier.endswith("-") or "--" in identifier:
        problem = "must not end with a hyphen or hold two in a row"
    if problem:
        raise InvalidParameterError(f"{what} identifier {identifier!r} {problem}")
    return identifier.lower()


def check_snapshot_identifier(identifier: str) -> str:
    """The same for a snapshot. Raises InvalidParameterError."""
    return check_identifier(identifier, "snapshot", SNAPSHOT_IDENTIFIER_MAX_CHARACTERS)


def check_role_name(what: str, name: str) -> str:
    """A name for the master user or the database. Raises InvalidParameterError."""
    well_formed = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII)
    if not well_formed or len(name) > ROLE_MAX_CHARACTERS:
        raise InvalidParameterError(
            f"{what} {name!r} must begin with a letter or underscore, hold only letters, digits "
            f"and underscores, and have at most {ROLE_MAX_CHARACTERS} characters"
        )
    if name.lower() in RESERVED_ROLES or name.lower().startswith(("pg_", "rds")):
        raise InvalidParameterError(f"{what} {name!r} is reserved; choose another one")
    return name


def new_resource_id() -> str:
    """A DbClusterResourceId: `cluster-` and 26 random characters."""
    return "cluster-" + "".join(secrets.choice(_BASE32) for _ in range(RESOURCE_ID_CHARACTERS))


def endpoint_name(identifier: str, resource_id: str, region: str, *, reader: bool = False) -> str:
    """The host name of the cluster endpoint, or of the reader endpoint."""
    part = "cluster-ro-" if reader else "cluster-"
    return f"{identifier}.{part}{_unique(resource_id)}.{region}.localhost"


def custom_endpoint_name(identifier: str, resource_id: str, region: str) -> str:
    """The host name of a custom endpoint."""
    return f"{identifier}.cluster-custom-{_unique(resource_id)}.{region}.localhost"


def instance_endpoint_name(identifier: str, resource_id: str, region: str) -> str:
    """The host name of an instance's own endpoint. resource_id: of its cluster."""
    return f"{identifier}.{_unique(resource_id)}.{region}.localhost"


def first_instance_name(identifier: str, taken: Collection[str]) -> str:
    """The name that RDS gives the instance which it makes with a cluster; another one if taken."""
    stem = identifier[: IDENTIFIER_MAX_CHARACTERS - len("-instance-99")].rstrip("-")
    numbers = itertools.count(1)
    return next(name for number in numbers if (name := f"{stem}-instance-{number}") not in taken)


def _unique(resource_id: str) -> str:
    return resource_id.removeprefix("cluster-")[:_ENDPOINT_HASH_CHARACTERS].lower()


def did_you_mean(identifier: str, known: Iterable[str]) -> str:
    """For the text of an error: the nearest of the identifiers that exist, where one is near."""
    near = difflib.get_close_matches(identifier, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def taken(identifier: str, *advice: Said) -> ClusterAlreadyExistsError:
    """The error for an identifier that a cluster has: which may hold what somebody needs."""
    return ClusterAlreadyExistsError(
        f"a cluster {identifier!r} exists already; use it as it is, or choose another identifier",
        *advice,
    )


def not_found(identifier: str, known: Iterable[str]) -> ClusterNotFoundError:
    """The error for an identifier that names no cluster, with the nearest one that exists."""
    return ClusterNotFoundError(
        f"no cluster {identifier!r}{did_you_mean(identifier, known)}",
        Hint("{} lists all of them", Operation("describe_db_clusters")),
    )
