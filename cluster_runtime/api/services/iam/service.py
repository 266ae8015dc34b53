"""IAM's operations on managed policies."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from cluster_runtime.api.access.credentials import ACCOUNT, USER
from cluster_runtime.api.refusals import RefusedRequestError
from cluster_runtime.api.services.iam.policies import Policies, Policy, Version, no_such_entity
from cluster_runtime.api.services.service import Call, Performed

_ROOT = "/"


def iam_operations(policies: Policies) -> dict[str, Performed]:
    """What performs each operation, by its name."""
    iam = _Iam(policies)
    return {
        "AttachRolePolicy": iam.attach,
        "AttachUserPolicy": iam.attach,
        "CreatePolicy": iam.create_policy,
        "CreatePolicyVersion": iam.create_version,
        "DeletePolicy": iam.delete_policy,
        "DeletePolicyVersion": iam.delete_version,
        "DetachRolePolicy": iam.detach,
        "DetachUserPolicy": iam.detach,
        "GetPolicy": iam.get_policy,
        "GetPolicyVersion": iam.get_version,
        "GetUser": iam.get_user,
        "ListAttachedRolePolicies": iam.list_attached,
        "ListAttachedUserPolicies": iam.list_attached,
        "ListPolicyVersions": iam.list_versions,
    }


class _Iam:
    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def get_user(self, call: Call) -> Mapping[str, Any]:
        name = call.members.get("UserName", USER)
        if name != USER:
            raise no_such_entity(f"user {name}; the one user is {USER}")
        return {
            "User": {
                "Path": _ROOT,
                "UserName": USER,
                "UserId": f"AIDA{USER.upper():0<17}",
                "Arn": f"arn:aws:iam::{ACCOUNT}:user/{USER}",
                "CreateDate": datetime.fromtimestamp(0, call.now.tzinfo),
            }
        }

    async def create_policy(self, call: Call) -> Mapping[str, Any]:
        name = call.members["PolicyName"]
        document = _only_allows(call.members["PolicyDocument"])
        policy = Policy(
            arn=f"arn:aws:iam::{ACCOUNT}:policy/{name}",
            name=name,
            description=call.members.get("Description", ""),
            created=call.now,
            default="v1",
            numbered=1,
            versions=[Version("v1", document, call.now)],
        )
        self._policies.create(policy)
        return {"Policy": self._shape(policy)}

    async def get_policy(self, call: Call) -> Mapping[str, Any]:
        return {"Policy": self._shape(self._policies.policy(call.members["PolicyArn"]))}

    async def delete_policy(self, call: Call) -> Mapping[str, Any]:
        self._policies.delete(call.members["PolicyArn"])
        return {}

    async def create_version(self, call: Call) -> Mapping[str, Any]:
        document = _only_allows(call.members["PolicyDocument"])
        arn = call.members["PolicyArn"]
        default = call.members.get("SetAsDefault", False)
        version = self._policies.add_version(arn, document, call.now, default=default)
        return {"PolicyVersion": _version(version, self._policies.policy(arn))}

    async def get_version(self, call: Call) -> Mapping[str, Any]:
        policy = self._policies.policy(call.members["PolicyArn"])
        version = policy.version(call.members["VersionId"])
        # IAM sends documents URL-encoded; SDKs decode them.
        document = quote(version.document, safe="")
        return {"PolicyVersion": {**_version(version, policy), "Document": document}}

    async def list_versions(self, call: Call) -> Mapping[str, Any]:
        policy = self._policies.policy(call.members["PolicyArn"])
        versions = [_version(each, policy) for each in policy.versions]
        return {"Versions": versions, "IsTruncated": False}

    async def delete_version(self, call: Call) -> Mapping[str, Any]:
        self._policies.delete_version(call.members["PolicyArn"], call.members["VersionId"])
        return {}

    async def attach(self, call: Call) -> Mapping[str, Any]:
        self._policies.attach(_principal(call.members), call.members["PolicyArn"])
        return {}

    async def detach(self, call: Call) -> Mapping[str, Any]:
        self._policies.detach(_principal(call.members), call.members["PolicyArn"])
        return {}

    async def list_attached(self, call: Call) -> Mapping[str, Any]:
        attached = self._policies.attached(_principal(call.members))
        return {
            "AttachedPolicies": [
                {"PolicyName": each.name, "PolicyArn": each.arn} for each in attached
            ],
            "IsTruncated": False,
        }

    def _shape(self, policy: Policy) -> dict[str, Any]:
        return {
            "PolicyName": policy.name,
            "PolicyId": f"ANPA{policy.name.upper():0<17}",
            "Arn": policy.arn,
            "Path": _ROOT,
            "DefaultVersionId": policy.default,
            "AttachmentCount": self._policies.attachments(policy.arn),
            "IsAttachable": True,
            "Description": policy.description,
            "CreateDate": policy.created,
            "UpdateDate": policy.versions[-1].created,
        }


def _version(version: Version, policy: Policy) -> dict[str, Any]:
    return {
        "VersionId": version.name,
        "IsDefaultVersion": version.name == policy.default,
        "CreateDate": version.created,
    }


def _principal(members: Mapping[str, Any]) -> str:
    if "RoleName" in members:
        return f"role/{members['RoleName']}"
    if members["UserName"] != USER:
        raise no_such_entity(f"user {members['UserName']}; the one user is {USER}")
    return f"user/{USER}"


def _only_allows(document: str) -> str:
    """The text of a policy. Raises RefusedRequestError for one that nothing here would hold."""
    try:
        statements = json.loads(document)["Statement"]
    except (ValueError, TypeError, KeyError) as error:
        raise _malformed("it is no JSON object with a Statement") from error
    for each in statements if isinstance(statements, list) else [statements]:
        if not isinstance(each, dict) or each.get("Effect") != "Allow" or "Condition" in each:
            raise _malformed(
                "every user of this endpoint may do everything, so it takes only statements that "
                "allow, without a condition: nothing would hold the others"
            )
    return document


def _malformed(why: str) -> RefusedRequestError:
    return RefusedRequestError(f"the policy is not taken: {why}", fault="MalformedPolicyDocument")
