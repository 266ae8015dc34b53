"""The protocols against botocore's serialisers and parsers, for every operation of the models."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster_runtime.api.protocols import json_protocol, query, values
from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.refusals import RefusedRequestError
from tests.examples import examples

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(-1e6, 1e6).map(lambda number: round(number, 3)),
    "double": st.floats(-1e6, 1e6).map(lambda number: round(number, 3)),
    "timestamp": st.integers(0, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    "blob": st.binary(min_size=1, max_size=12),
}
DEPTH_MAX = 4


def values_of(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "structure":
            names = [] if depth > DEPTH_MAX else list(shape.members)
            return (
                st.lists(st.sampled_from(names), unique=True, max_size=6).flatmap(
                    lambda chosen: st.fixed_dictionaries(
                        {name: values_of(shape.members[name], depth + 1) for name in chosen}
                    )
                )
                if names
                else st.just({})
            )
        case "list":
            return st.lists(values_of(shape.member, depth + 1), min_size=1, max_size=3)
        case "map":
            return st.dictionaries(TEXT, values_of(shape.value, depth + 1), min_size=1, max_size=2)
        case _:
            return SCALARS[shape.type_name]


def without_nothing(value: Any) -> Any:
    """Without empty structures, of which a form says nothing."""
    if isinstance(value, dict):
        kept = {name: without_nothing(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in ({}, [])}
    if isinstance(value, list):
        return [kept for each in value if (kept := without_nothing(each)) not in ({}, [])]
    return value


@pytest.mark.parametrize("service", ["rds", "sts", "iam"])
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_botocore_sends_is_read_as_it_was_meant(service: str, data: st.DataObject) -> None:
    model = service_model(service)
    operation = model.operation_model(data.draw(st.sampled_from(sorted(model.operation_names))))
    if operation.input_shape is None:
        return
    members = without_nothing(data.draw(values_of(operation.input_shape)))
    serializer = create_serializer("query", include_validation=False)
    sent = serializer.serialize_to_request(members, operation)["body"]
    assert query.parse(
        {name: str(value) for name, value in sent.items()}, operation.input_shape
    ) == (members)


@pytest.mark.parametrize("service", ["rds", "sts"])
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_answered_is_what_botocore_reads(service: str, data: st.DataObject) -> None:
    model = service_model(service)
    operation = model.operation_model(data.draw(st.sampled_from(sorted(model.operation_names))))
    result = {} if operation.output_shape is None else data.draw(values_of(operation.output_shape))
    body = query.response(operation, result, "the-id")
    parsed = create_parser("query").parse(
        {"body": body, "headers": {}, "status_code": 200}, operation.output_shape
    )
    metadata = parsed.pop("ResponseMetadata")
    assert metadata["RequestId"] == "the-id"
    assert without_nothing(parsed) == without_nothing(result)


@settings(max_examples=examples(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_json_is_read_and_answered_as_botocore_does(data: st.DataObject) -> None:
    model = service_model("secretsmanager")
    operation = model.operation_model(data.draw(st.sampled_from(sorted(model.operation_names))))
    result = {} if operation.output_shape is None else data.draw(values_of(operation.output_shape))
    body = json_protocol.response(operation, result)
    parsed = create_parser("json").parse(
        {"body": body, "headers": {}, "status_code": 200}, operation.output_shape
    )
    parsed.pop("ResponseMetadata")
    assert parsed == result


def test_a_parameter_that_the_operation_has_not_is_refused() -> None:
    shape = service_model("rds").operation_model("DescribeDBClusters").input_shape
    with pytest.raises(RefusedRequestError, match="'Colour'") as raised:
        query.parse({"Action": "DescribeDBClusters", "Colour": "red"}, shape)
    assert raised.value.fault == "InvalidQueryParameter"


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"Engine": "aurora-postgresql"}, "MissingParameter"),
        ({"DBClusterIdentifier": "a", "Engine": "e", "Port": "many"}, "InvalidParameterValue"),
        (
            {"DBClusterIdentifier": "a", "Engine": "e", "DeletionProtection": "y"},
            "InvalidParameterValue",
        ),
    ],
)
def test_a_request_that_is_not_as_its_shape_says_is_refused(
    parameters: dict[str, str], fault: str
) -> None:
    shape = service_model("rds").operation_model("CreateDBCluster").input_shape
    with pytest.raises(RefusedRequestError) as raised:
        values.check(query.parse(parameters, shape), shape)
    assert raised.value.fault == fault


@pytest.mark.parametrize("body", [b"a=1&a=2", b"\xff=1", b"no form"])
def test_a_body_that_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedRequestError) as raised:
        query.form(body)
    assert raised.value.fault == "MalformedQueryString"


@pytest.mark.parametrize("body", [b"{", b"[]", b"1"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RefusedRequestError):
        json_protocol.document(body)


@pytest.mark.parametrize(
    "time", ["1e18", "yesterday", "", 1e300, float("nan"), -1e18, "9999-12-31T23:59:59-09:00"]
)
def test_a_time_that_is_none_is_refused_in_json_too(time: object) -> None:
    shape = service_model("cloudwatch").operation_model("GetMetricStatistics").input_shape
    given = {"Namespace": "n", "MetricName": "m", "EndTime": 0, "Period": 60, "StartTime": time}
    with pytest.raises(RefusedRequestError):
        values.check(json_protocol.parse(given, shape), shape)


def test_an_answer_with_a_member_that_the_shape_has_not_is_never_sent() -> None:
    operation = service_model("rds").operation_model("DescribeDBClusters")
    with pytest.raises(ValueError, match="Colour"):
        query.response(operation, {"DBClusters": [{"Colour": "red"}]}, "id")


def test_characters_that_xml_has_not_are_replaced() -> None:
    operation = service_model("rds").operation_model("DownloadDBLogFilePortion")
    body = query.response(operation, {"LogFileData": "a\x00b\x1b[0m\n"}, "id")
    parsed = create_parser("query").parse(
        {"body": body, "headers": {}, "status_code": 200}, operation.output_shape
    )
    assert parsed["LogFileData"] == "a\ufffdb\ufffd[0m\n"


def test_numbers_survive_json() -> None:
    assert json.loads(json_protocol.error_response("Code", "no \u2603")) == {
        "__type": "Code",
        "message": "no \u2603",
    }
    assert math.isclose(values.scalar("double", "0.5"), 0.5)
