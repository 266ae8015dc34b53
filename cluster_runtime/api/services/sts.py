"""AWS Security Token Service: who signs, and sessions that requests and tokens may be signed with.

A state directory has one user, who may do everything; a session of any role may as well.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.access.credentials import ACCOUNT, Credentials
from cluster_runtime.api.refusals import RefusedRequestError, invalid_combination
from cluster_runtime.api.services.service import Call, Performed

DURATION_DEFAULT_S = 3600
_TAKES = frozenset({"RoleArn", "RoleSessionName", "DurationSeconds"})
_ROLE = re.compile(rf"arn:aws:iam::{ACCOUNT}:role/(?:[\w+=,.@/-]+/)?(?P<name>[\w+=,.@-]{{1,64}})")


def sts_operations(runtime: AwaitedOperations, credentials: Credentials) -> dict[str, Performed]:
    """What performs each operation, by its name."""
    tokens = _Tokens(runtime, credentials)
    return {"GetCallerIdentity": tokens.caller, "AssumeRole": tokens.assume}


class _Tokens:
    def __init__(self, runtime: AwaitedOperations, credentials: Credentials) -> None:
        self._runtime = runtime
        self._credentials = credentials

    async def caller(self, call: Call) -> Mapping[str, Any]:
        identity = call.identity
        return {"UserId": identity.access_key_id, "Account": ACCOUNT, "Arn": identity.arn}

    async def assume(self, call: Call) -> Mapping[str, Any]:
        beyond = sorted(call.members.keys() - _TAKES)
        if beyond:
            # A session that was to have fewer rights would have all of them.
            raise invalid_combination(f"AssumeRole takes no {beyond[0]} here")
        role = _ROLE.fullmatch(call.members["RoleArn"])
        if role is None:
            raise RefusedRequestError(
                f"RoleArn must be a role of the account {ACCOUNT}", fault="ValidationError"
            )
        lifetime = timedelta(seconds=call.members.get("DurationSeconds", DURATION_DEFAULT_S))
        name = call.members["RoleSessionName"]
        session = self._credentials.new_session(role["name"], name, lifetime, call.now)
        await self._runtime.register_session(
            session.access_key_id,
            session.secret_access_key,
            session.session_token,
            session.expires,
        )
        return {
            "Credentials": {
                "AccessKeyId": session.access_key_id,
                "SecretAccessKey": session.secret_access_key,
                "SessionToken": session.session_token,
                "Expiration": session.expires,
            },
            "AssumedRoleUser": {
                "AssumedRoleId": f"{session.access_key_id}:{name}",
                "Arn": self._credentials.identity(session.access_key_id).arn,
            },
        }
