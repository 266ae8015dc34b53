"""Managed policies and whom they are attached to, kept in a file of the state directory.

Source: IAM API Reference, CreatePolicy, CreatePolicyVersion, AttachUserPolicy.
"""

import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster_runtime.api.refusals import NOT_FOUND, RefusedRequestError

VERSIONS_MAX = 5
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a policy. name: `v1` and so on."""

    name: str
    document: str
    created: datetime


@dataclass(slots=True)
class Policy:
    """A managed policy. numbered: how many versions it ever had."""

    arn: str
    name: str
    description: str
    created: datetime
    default: str
    numbered: int
    versions: list[Version] = field(default_factory=list)

    def version(self, name: str) -> Version:
        """Raises RefusedRequestError for one that there is not."""
        for each in self.versions:
            if each.name == name:
                return each
        raise no_such_entity(f"policy version {name} of {self.arn}")


class Policies:
    """The policies of a state directory. path: their file; None keeps them in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._policies: dict[str, Policy] = {}
        self._attached: dict[str, list[str]] = {}
        if path is not None and path.exists():
            self._read(json.loads(path.read_text(encoding="utf-8")))

    def policy(self, arn: str) -> Policy:
        """Raises RefusedRequestError for one that there is not."""
        if arn not in self._policies:
            raise no_such_entity(f"policy {arn}")
        return self._policies[arn]

    def create(self, policy: Policy) -> None:
        """Raises RefusedRequestError where there is one of that name."""
        if policy.arn in self._policies:
            raise RefusedRequestError(
                f"a policy {policy.arn} exists already",
                fault="EntityAlreadyExists",
                status=CONFLICT,
            )
        self._policies[policy.arn] = policy
        self._write()

    def add_version(self, arn: str, document: str, now: datetime, *, default: bool) -> Version:
        """Raises RefusedRequestError for a sixth version."""
        policy = self.policy(arn)
        if len(policy.versions) >= VERSIONS_MAX:
            raise RefusedRequestError(
                f"{arn} has {VERSIONS_MAX} versions; delete one",
                fault="LimitExceeded",
                status=CONFLICT,
            )
        policy.numbered += 1
        version = Version(f"v{policy.numbered}", document, now)
        policy.versions.append(version)
        if default:
            policy.default = version.name
        self._write()
        return version

    def delete_version(self, arn: str, name: str) -> None:
        """Raises RefusedRequestError for the default one."""
        policy = self.policy(arn)
        version = policy.version(name)
        if name == policy.default:
            raise RefusedRequestError(
                f"{name} is the default version", fault="DeleteConflict", status=CONFLICT
            )
        policy.versions.remove(version)
        self._write()

    def delete(self, arn: str) -> None:
        """Raises RefusedRequestError while it is attached to somebody."""
        self.policy(arn)
        if any(arn in attached for attached in self._attached.values()):
            raise RefusedRequestError(f"{arn} is attached", fault="DeleteConflict", status=CONFLICT)
        del self._policies[arn]
        self._write()

    def attached(self, principal: str) -> list[Policy]:
        """Those of a principal, such as `user/borealis`."""
        return [self._policies[arn] for arn in self._attached.get(principal, ())]

    def attachments(self, arn: str) -> int:
        """How many have a policy."""
        return sum(arn in attached for attached in self._attached.values())

    def attach(self, principal: str, arn: str) -> None:
        """Attach it once."""
        self.policy(arn)
        if arn not in self._attached.setdefault(principal, []):
            self._attached[principal].append(arn)
            self._write()

    def detach(self, principal: str, arn: str) -> None:
        """Raises RefusedRequestError where it is not attached."""
        if arn not in self._attached.get(principal, ()):
            raise no_such_entity(f"policy {arn} of {principal}")
        self._attached[principal].remove(arn)
        self._write()

    def _read(self, kept: dict[str, Any]) -> None:
        self._attached = kept["attached"]
        for each in kept["policies"]:
            versions = [
                Version(one["name"], one["document"], datetime.fromisoformat(one["created"]))
                for one in each["versions"]
            ]
            created = datetime.fromisoformat(each["created"])
            policy = Policy(**(each | {"versions": versions, "created": created}))
            self._policies[policy.arn] = policy

    def _write(self) -> None:
        if self._path is None:
            return
        document = {
            "policies": [
                {
                    "arn": each.arn,
                    "name": each.name,
                    "description": each.description,
                    "created": each.created.isoformat(),
                    "default": each.default,
                    "numbered": each.numbered,
                    "versions": [
                        {
                            "name": one.name,
                            "document": one.document,
                            "created": one.created.isoformat(),
                        }
                        for one in each.versions
                    ],
                }
                for each in self._policies.values()
            ],
            "attached": self._attached,
        }
        partial = self._path.with_suffix(".partial")
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(document, file)
        partial.rename(self._path)


def no_such_entity(what: str) -> RefusedRequestError:
    """IAM's error for what there is not."""
    return RefusedRequestError(f"there is no {what}", fault="NoSuchEntity", status=NOT_FOUND)
