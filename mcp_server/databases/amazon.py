"""An Amazon Aurora cluster as a database to read: its endpoint from the RDS API, IAM tokens to it.

The credentials are those that botocore finds (environment, profile, role of the machine). They may
describe the cluster (`rds:DescribeDBClusters`) and sign tokens (`rds-db:connect`); the role in
PostgreSQL has been granted `rds_iam`. A token opens new connections for 15 minutes, so each
connection gets one of its own, and only over TLS with the server's certificate verified.

Source: Aurora User Guide, "IAM database authentication", "Using SSL/TLS".
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from mcp_server.databases.existing import NAME, ExistingDatabase
from mcp_server.errors import ScopeError

ARN = "arn:"
_REGION_IN_ARN, _NAME_IN_ARN = 3, 6
SYSTEM_CERTIFICATES = "system"
"""libpq's word for the authorities that this machine trusts."""


def aurora_cluster(
    cluster: str,
    region: str | None = None,
    *,
    user: str | None = None,
    dbname: str | None = None,
    ca_bundle: Path | None = None,
    client: Any = None,
) -> ExistingDatabase:
    """The cluster of an ARN or an identifier.

    user: a role with `rds_iam`; default: the master user. dbname: default: the cluster's own.
    ca_bundle: certificates to verify the server by, such as Amazon's `global-bundle.pem`.
    client: botocore's for RDS, instead of one of this region.
    Raises ScopeError where the cluster is not there, or takes no tokens.
    """
    parts = cluster.split(":")
    if cluster.startswith(ARN):
        if len(parts) <= _NAME_IN_ARN:
            raise ScopeError(
                f"{cluster!r} is no ARN of a cluster; such a one is "
                "arn:aws:rds:REGION:ACCOUNT:cluster:NAME"
            )
        region = region or parts[_REGION_IN_ARN]
    try:
        rds = client or Session().create_client("rds", region_name=region)
        (facts,) = rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    except (BotoCoreError, ClientError, ValueError) as error:
        raise ScopeError(f"cannot describe cluster {cluster!r} in {region}: {error}") from error
    if not facts.get("IAMDatabaseAuthenticationEnabled"):
        raise ScopeError(
            f"cluster {cluster!r} takes no IAM tokens; enable IAM database authentication, or name "
            "it with --dsn and a password"
        )
    if not facts.get("Endpoint") or not facts.get("Port"):
        raise ScopeError(f"cluster {cluster!r} has no endpoint; it is {facts.get('Status')}")
    name = str(facts["DBClusterIdentifier"])
    role = user or str(facts["MasterUsername"])
    target = dbname or str(facts.get("DatabaseName") or "postgres")
    dsn = _dsn(rds, str(facts["Endpoint"]), int(facts["Port"]), role, target, ca_bundle)
    return ExistingDatabase(name if NAME.fullmatch(name) else "cluster", dsn)


def _dsn(
    rds: Any, host: str, port: int, user: str, dbname: str, ca_bundle: Path | None
) -> Callable[[], str]:
    certificates = SYSTEM_CERTIFICATES if ca_bundle is None else str(ca_bundle.expanduser())

    def with_token() -> str:
        token = rds.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
        return (
            f"postgresql://{quote(user, safe='')}:{quote(token, safe='')}@{host}:{port}/"
            f"{quote(dbname, safe='')}?sslmode=verify-full&sslrootcert={quote(certificates)}"
        )

    return with_token
