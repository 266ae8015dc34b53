"""Master passwords that the runtime manages: made from a key, and kept nowhere.

A password is a keyed hash of the cluster's resource id and of how often it was rotated. Whoever has
the key, which never leaves the state directory, can tell it again; nothing holds it in plain text.
"""

import base64
import hmac
import json

from cluster_runtime.control.cluster import OpenRuntime
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.resources import MasterUserSecretValue
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.wording import Hint, Operation

PASSWORD_BYTES = 24


def managed_password(key: bytes, resource_id: str, version: int) -> str:
    """The password of a version: 32 characters that need no escaping anywhere."""
    named = json.dumps(["master-user-password", resource_id, version]).encode()
    return base64.urlsafe_b64encode(hmac.digest(key, named, "sha256")[:PASSWORD_BYTES]).decode()


def master_user_secret(runtime: OpenRuntime, db_cluster: DBCluster) -> MasterUserSecretValue:
    """Raises InvalidParameterError where the runtime does not manage the password."""
    secret = db_cluster.master_user_secret
    if secret is None:
        raise InvalidParameterError(
            f"the master password of cluster {db_cluster.db_cluster_identifier!r} is not managed",
            Hint(
                "have it managed with {}",
                Operation(
                    "modify_db_cluster",
                    db_cluster.db_cluster_identifier,
                    {"manage_master_user_password": True},
                ),
            ),
        )
    return MasterUserSecretValue(
        secret_arn=secret.secret_arn,
        name=secret_name(db_cluster.db_cluster_resource_id),
        version=secret.version,
        created_date=db_cluster.cluster_create_time,
        db_cluster_identifier=db_cluster.db_cluster_identifier,
        username=db_cluster.master_username,
        password=managed_password(
            runtime.state.secret_key(), db_cluster.db_cluster_resource_id, secret.version
        ),
    )


def secret_name(resource_id: str) -> str:
    """The name of a cluster's secret, as RDS forms it."""
    return f"rds!{resource_id}"


def secret_arn(resource_id: str, region: str) -> str:
    """Its ARN, which ends, as all of them, with six characters of its own."""
    return (
        f"arn:aws:secretsmanager:{region}:000000000000:secret:"
        f"{secret_name(resource_id)}-{resource_id[-6:]}"
    )
