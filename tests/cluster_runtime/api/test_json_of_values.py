"""What attached processes and hosts say to each other: values and errors, as JSON."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime import errors
from cluster_runtime.api.calls import CALLS
from cluster_runtime.api.protocols.codec import decode, decode_request, decode_result, encode
from cluster_runtime.api.protocols.said import decode_error, encode_error
from cluster_runtime.control.operations import OPERATIONS, Declared
from cluster_runtime.control.operations.clusters import CreateDBCluster, ModifyDBCluster
from cluster_runtime.control.operations.types import HANDLE
from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    DBInstance,
    Event,
    InstanceStatus,
    ServerlessScaling,
)
from cluster_runtime.engine.sandbox.walls import Walls
from cluster_runtime.errors import BorealisError, InvalidParameterError
from cluster_runtime.wording import Hint, Operation, Parameter

TIMES = st.datetimes(timezones=st.just(UTC))
SOME_TEXT = st.text(max_size=8)
WALLS = st.builds(
    Walls,
    **{each: st.booleans() for each in ("files", "programs", "network", "dialling", "signals")},
    os_user=st.sampled_from(["own", "shared", "host"]),
    landlock_abi=st.integers(0, 7),
    gaps=st.lists(SOME_TEXT, max_size=2).map(tuple),
)
CLUSTERS = st.builds(
    DBCluster,
    status=st.sampled_from(ClusterStatus),
    cluster_create_time=TIMES,
    scaling=st.just(ServerlessScaling(0.5, 8)),
    storage_type=st.sampled_from(["aurora", "aurora-iopt1"]),
    capacity=st.sampled_from([0.0, 0.5, 16.0]),
    walls=st.none() | WALLS,
)
INSTANCES = st.builds(
    DBInstance, db_instance_status=st.sampled_from(InstanceStatus), instance_create_time=TIMES
)
EVENTS = st.builds(
    Event,
    source_type=st.just("db-cluster"),
    event_categories=st.lists(SOME_TEXT, max_size=3).map(tuple),
    date=TIMES,
)


def over_the_wire(data: Any) -> Any:
    return json.loads(json.dumps(data))


@pytest.mark.parametrize(
    ("kind", "values"), [(DBCluster, CLUSTERS), (DBInstance, INSTANCES), (Event, EVENTS)]
)
def test_a_noun_comes_back_as_it_was(kind: type, values: st.SearchStrategy[Any]) -> None:
    @given(values)
    def holds(value: Any) -> None:
        assert decode(kind, over_the_wire(encode(value))) == value

    holds()


@given(st.builds(ServerlessScaling, st.just(0.5), st.just(4.0)), st.text(max_size=3))
def test_a_call_comes_back_as_it_was(scaling: ServerlessScaling, name: str) -> None:
    made = CreateDBCluster("notes", serverless_v2_scaling_configuration=scaling, port=5433)
    assert decode_request(CreateDBCluster.declared, over_the_wire(encode(made))) == made
    changed = ModifyDBCluster(name, deletion_protection=True)
    assert decode_request(ModifyDBCluster.declared, over_the_wire(encode(changed))) == changed


LEAVES = {str, int, float, bool, Decimal, datetime, Path, type(None), object}


def unknown_in(kind: Any, seen: set[Any]) -> set[Any]:
    """Types below a type that have no form on the wire."""
    kind = getattr(kind, "__supertype__", kind)
    inner = getattr(kind, "__args__", ())
    if (
        kind in LEAVES
        or kind in seen
        or kind is Ellipsis
        or (not isinstance(kind, type) and not inner)
    ):
        return set()
    seen.add(kind)
    if inner:
        return set().union(*(unknown_in(each, seen) for each in inner))
    if hasattr(kind, "__dataclass_fields__"):
        hints = get_type_hints(kind)
        return set().union(*(unknown_in(each, seen) for each in hints.values()))
    return set() if hasattr(kind, "__members__") else {kind}


@pytest.mark.parametrize("declared", [*OPERATIONS, *CALLS], ids=lambda each: each.name)
def test_every_operation_has_parameters_and_results_that_the_wire_carries(
    declared: Declared,
) -> None:
    for each in declared.parameters:
        assert unknown_in(each.type, set()) == set()
    if declared.result is not None and declared.result != HANDLE:
        kind = getattr(import_module(declared.result.module), declared.result.name)
        assert unknown_in(kind, set()) == set()
    assert declared.reads is declared.name.startswith(("Describe", "Download", "List", "Get"))


def test_a_newer_host_may_tell_more_and_a_caller_may_not_ask_for_it() -> None:
    scaling = encode(ServerlessScaling()) | {"from_the_future": 1}
    assert decode(ServerlessScaling, scaling) == ServerlessScaling()
    with pytest.raises(InvalidParameterError, match="has no 'from_the_future'"):
        decode_request(
            CreateDBCluster.declared, {"db_cluster_identifier": "a", "from_the_future": 1}
        )
    with pytest.raises(InvalidParameterError, match="without its db_cluster_identifier"):
        decode_request(CreateDBCluster.declared, {})
    with pytest.raises(InvalidParameterError):
        decode_request(CreateDBCluster.declared, {"db_cluster_identifier": "Bad Name"})
    scaling = "serverless_v2_scaling_configuration"
    for wrong in ({"port": "5"}, {"tags": "abc"}, {scaling: [1]}, {scaling: {"min_capcity": 1}}):
        with pytest.raises(InvalidParameterError):
            decode_request(CreateDBCluster.declared, {"db_cluster_identifier": "a", **wrong})


Metres = NewType("Metres", int)


@dataclass(frozen=True, slots=True)
class Strange:
    one: tuple[int, str]
    many: frozenset[Metres]
    named: dict[str, tuple[float, ...]]
    kind: Literal["a", "b"] = "a"
    rule: Annotated[int | None, "a note"] = None


def test_other_shapes_come_back_as_they_were() -> None:
    value = Strange((1, "x"), frozenset({Metres(3)}), {"a": (1.0, 2.5)}, "b", 4)
    assert decode(Strange, over_the_wire(encode(value))) == value
    assert decode_result(None, None) is None
    with pytest.raises(TypeError, match="has no form"):
        encode(object())


EVERY_ERROR = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, BorealisError)
]


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_with_its_class_code_and_words(kind: type[BorealisError]) -> None:
    hint = Hint("{} helps", Operation("start_db_cluster", "notes", {"port": 5}))
    error = kind("it is so with ", Parameter("port"), hint)
    back = decode_error(over_the_wire(encode_error(error)))
    assert type(back) is kind
    assert (back.code, back.retry_helps, back.args) == (kind.code, kind.retry_helps, error.args)
    assert str(back) == str(error)


def test_an_error_of_an_inner_part_is_told_as_the_nearest_that_the_reader_knows() -> None:
    class InnerError(errors.StorageError):
        code = "StorageQuotaExceeded"
        retry_helps = True

    back = decode_error(over_the_wire(encode_error(InnerError("so it is"))))
    assert type(back) is errors.StorageError
    assert (back.code, back.retry_helps, str(back)) == ("StorageQuotaExceeded", True, "so it is")
