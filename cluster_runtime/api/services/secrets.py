"""AWS Secrets Manager: the master passwords that the runtime manages, and no other secret."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.refusals import RefusedRequestError
from cluster_runtime.api.services.service import Call, Performed
from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.resources import MasterUserSecretValue

CURRENT = "AWSCURRENT"
OWNER = "rds"


def secrets_operations(runtime: AwaitedOperations) -> dict[str, Performed]:
    """What performs each operation, by its name."""
    secrets = _Secrets(runtime)
    return {
        "DescribeSecret": secrets.describe,
        "GetSecretValue": secrets.value,
        "ListSecrets": secrets.list,
    }


class _Secrets:
    def __init__(self, runtime: AwaitedOperations) -> None:
        self._runtime = runtime

    async def value(self, call: Call) -> Mapping[str, Any]:
        secret, _ = await self._find(call.members["SecretId"])
        wanted = call.members.get("VersionId", _version_id(secret))
        stage = call.members.get("VersionStage", CURRENT)
        if (wanted, stage) != (_version_id(secret), CURRENT):
            raise _not_found(f"a version of {secret.name} that is not its current one")
        return {
            "ARN": secret.secret_arn,
            "Name": secret.name,
            "VersionId": _version_id(secret),
            "SecretString": json.dumps({"username": secret.username, "password": secret.password}),
            "VersionStages": [CURRENT],
            "CreatedDate": secret.created_date,
        }

    async def describe(self, call: Call) -> Mapping[str, Any]:
        secret, facts = await self._find(call.members["SecretId"])
        return {
            **_entry(secret, facts),
            "VersionIdsToStages": {_version_id(secret): [CURRENT]},
        }

    async def list(self, call: Call) -> Mapping[str, Any]:
        if call.members.get("Filters"):
            raise RefusedRequestError("InvalidParameterException", "ListSecrets takes no Filters")
        found = [
            (await self._runtime.get_master_user_secret(facts.db_cluster_resource_id), facts)
            for facts in await self._runtime.describe_db_clusters()
            if facts.master_user_secret is not None
        ]
        return {
            "SecretList": [
                {
                    **_entry(secret, facts),
                    "SecretVersionsToStages": {_version_id(secret): [CURRENT]},
                }
                for secret, facts in found
            ]
        }

    async def _find(self, name: str) -> tuple[MasterUserSecretValue, DBCluster]:
        """The secret of an ARN, whole or without its last six characters, or of a name."""
        for facts in await self._runtime.describe_db_clusters():
            if facts.master_user_secret is None:
                continue
            arn = facts.master_user_secret.secret_arn
            known = (arn, arn.rpartition("-")[0], arn.rpartition("-")[0].rpartition(":")[2])
            if name in known:
                secret = await self._runtime.get_master_user_secret(facts.db_cluster_resource_id)
                return secret, facts
        raise _not_found(f"secret {name!r}; a cluster names its own as MasterUserSecret")


def _entry(secret: MasterUserSecretValue, facts: DBCluster) -> dict[str, Any]:
    return {
        "ARN": secret.secret_arn,
        "Name": secret.name,
        "Description": f"Master password of cluster {facts.db_cluster_identifier}",
        "OwningService": OWNER,
        "RotationEnabled": False,
        "CreatedDate": secret.created_date,
        "Tags": [{"Key": "aws:rds:primaryDBClusterArn", "Value": facts.db_cluster_arn}],
    }


def _version_id(secret: MasterUserSecretValue) -> str:
    """A version's id has the form of a UUID, and is the same each time that it is asked for."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{secret.secret_arn}#{secret.version}"))


def _not_found(what: str) -> RefusedRequestError:
    return RefusedRequestError("ResourceNotFoundException", f"there is no {what}")
