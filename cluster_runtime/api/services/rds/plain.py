"""Operations whose nouns have RDS's own members: from the declaration alone."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.protocols.nouns import to_members, to_value
from cluster_runtime.api.services.rds.paging import filtered, page
from cluster_runtime.api.services.rds.parameters import arguments
from cluster_runtime.api.services.rds.without_effect import WITHOUT_EFFECT
from cluster_runtime.api.services.service import Call
from cluster_runtime.control.operations import Declared

MARKER = "Marker"


class Plain:
    """One operation of the runtime as RDS's of the same name."""

    def __init__(self, runtime: AwaitedOperations, declared: Declared) -> None:
        self._runtime = runtime
        self._declared = declared

    async def perform(self, call: Call) -> Mapping[str, Any]:
        """The members of the output shape."""
        declared = self._declared
        unmeaning = WITHOUT_EFFECT.get(declared.name, frozenset())
        given = arguments(declared, call.members, without_effect=unmeaning)
        result = await getattr(self._runtime, declared.method)(**given)
        shape = service_model("rds").operation_model(declared.name).output_shape
        if declared.result is None:
            return {}
        if not declared.result.many:
            inner = [name for name, of in shape.members.items() if of.type_name == "structure"]
            if inner:
                return {inner[0]: to_members(result, shape.members[inner[0]])}
            return to_members(result, shape)
        name = next(name for name, of in shape.members.items() if of.type_name == "list")
        found: Sequence[Any] = filtered(result, call.members, {})
        marker = None
        if MARKER in shape.members:
            found, marker = page(found, call.members, _key)
        members = shape.members[name]
        answer = {name: [to_value(each, members.member) for each in found]}
        return {**answer, MARKER: marker} if marker is not None else answer


def _key(noun: Any) -> str:
    """What tells a noun from the others of its list."""
    return hashlib.sha256(repr(noun).encode()).hexdigest()[:32]
