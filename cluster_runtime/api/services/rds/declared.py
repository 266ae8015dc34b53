"""Operations of the runtime as RDS's of the same name: from the declaration alone.

An operation that is declared works here without another word, where botocore has it: its parameters
are the members of RDS's input shape, its noun those of the output shape.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.protocols.nouns import to_value
from cluster_runtime.api.refusals import invalid_combination
from cluster_runtime.api.services.rds import shapes
from cluster_runtime.api.services.rds.paging import filtered, filters_of, page
from cluster_runtime.api.services.rds.parameters import arguments, taken
from cluster_runtime.api.services.rds.without_effect import APPLY_IMMEDIATELY, without_effect
from cluster_runtime.api.services.service import Call
from cluster_runtime.control.operations import Declared
from cluster_runtime.control.operations.declaration import Changes, changes_nothing
from cluster_runtime.control.operations.types import DB_CLUSTER, HANDLE
from cluster_runtime.control.records.instances import DBClusterEndpoint
from cluster_runtime.control.records.model import DBCluster, DBInstance

CLUSTER = "DBClusterIdentifier"
INSTANCE = "DBInstanceIdentifier"
MARKER = "Marker"
_NAMES = ("_identifier", "_name")


class FromDeclaration:
    """One operation of the runtime as RDS's of the same name."""

    def __init__(self, runtime: AwaitedOperations, declared: Declared) -> None:
        self._runtime = runtime
        self._declared = declared

    async def perform(self, call: Call) -> Mapping[str, Any]:
        """The members of the output shape."""
        return await self.perform_with(call, call.members)

    async def perform_with(
        self, call: Call, members: Mapping[str, Any], **more: Any
    ) -> Mapping[str, Any]:
        """The same with other members, and with more arguments of the operation."""
        members = {
            name: identifier_of(value) if name.endswith(CLUSTER) else value
            for name, value in members.items()
        }
        current = await self._current(members)
        given = {**arguments(self._declared, members, current=current), **more}
        if changes_nothing(self._declared, given):
            result = await self._unchanged(members)
        else:
            result = await getattr(self._runtime, self._declared.method)(**given)
        shape = service_model("rds").operation_model(self._declared.name).output_shape
        if self._declared.result is None:
            return {}
        if self._declared.result.many:
            return await self._list(result, call, shape)
        noun = result.describe() if self._declared.result == HANDLE else result
        inner = [name for name, of in shape.members.items() if of.type_name == "structure"]
        if not inner:
            (members,) = await self._shown([noun], shape)
            return dict(members)
        (shown,) = await self._shown([noun], shape.members[inner[0]])
        return {inner[0]: shown}

    async def _unchanged(self, members: Mapping[str, Any]) -> Any:
        """What it is about, as it is: what was given has no effect on one machine.

        Raises RefusedRequestError where nothing was given at all.
        """
        name = self._declared.name
        if not members.keys() & without_effect(name) - {APPLY_IMMEDIATELY}:
            can_be = ", ".join(sorted(each for each in taken(name) if each not in members))
            raise invalid_combination(f"nothing to change is given; what can be: {can_be}")
        subject = members.get(CLUSTER) or members.get(INSTANCE)
        if self._kind is DBCluster:
            return (await self._runtime.describe_db_clusters(subject))[0]
        return (await self._runtime.describe_db_instances(subject))[0]

    async def _current(self, members: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields of the cluster that are changed by structures of which a part is given."""
        notes = (note for each in self._declared.parameters for note in each.notes)
        changed = [note.field for note in notes if isinstance(note, Changes)]
        if not changed or CLUSTER not in members:
            return {}
        (facts,) = await self._runtime.describe_db_clusters(members[CLUSTER])
        return {name: getattr(facts, name) for name in changed}

    async def _list(self, found: Sequence[Any], call: Call, shape: Any) -> Mapping[str, Any]:
        name = next(name for name, of in shape.members.items() if of.type_name == "list")
        chosen: Sequence[Any] = filtered(found, call.members, filters_of(self._kind))
        marker = None
        if MARKER in shape.members:
            chosen, marker = page(chosen, call.members, _key)
        answer = {name: await self._shown(chosen, shape.members[name].member)}
        return answer if marker is None else {**answer, MARKER: marker}

    async def _shown(self, nouns: Sequence[Any], shape: Any) -> list[Any]:
        """Nouns as RDS has them; clusters and instances are shown with each other's facts."""
        if self._kind is DBCluster:
            instances = await self._runtime.describe_db_instances()
            return [shapes.db_cluster(each, _of(each, instances)) for each in nouns]
        if self._kind is DBInstance:
            clusters = {
                facts.db_cluster_identifier: facts
                for facts in await self._runtime.describe_db_clusters()
            }
            return [
                shapes.db_instance(each, clusters[each.db_cluster_identifier])
                for each in nouns
                if each.db_cluster_identifier in clusters  # deleted meanwhile
            ]
        if self._kind is DBClusterEndpoint:
            return [shapes.cluster_endpoint(each) for each in nouns]
        return [to_value(each, shape) for each in nouns]

    @property
    def _kind(self) -> Any:
        result = self._declared.result
        assert result is not None, "an operation that returns nothing"
        result = DB_CLUSTER if result == HANDLE else result
        return getattr(import_module(result.module), result.name)


def identifier_of(given: str | None) -> str | None:
    """A cluster's identifier, which RDS takes as its ARN too."""
    if given is not None and given.startswith("arn:"):
        return given.rpartition(":")[2]
    return given


def _of(facts: DBCluster, instances: Sequence[DBInstance]) -> list[DBInstance]:
    return [each for each in instances if each.db_cluster_identifier == facts.db_cluster_identifier]


def _key(noun: Any) -> str:
    """What tells a noun from the others of its list: its name, where that comes first."""
    first = next(iter(type(noun).__dataclass_fields__))
    if first.endswith(_NAMES):
        return str(getattr(noun, first))
    return hashlib.sha256(repr(noun).encode()).hexdigest()[:32]
