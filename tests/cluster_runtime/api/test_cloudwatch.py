"""CloudWatch's clients and Prometheus read the metrics of clusters here, as they are."""

import stat
import string
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.api.access.bearer import MetricsToken
from cluster_runtime.api.protocols import cbor
from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.refusals import RefusedRequestError
from cluster_runtime.api.services.cloudwatch import operations
from cluster_runtime.api.services.cloudwatch.asked import page_of
from cluster_runtime.api.services.cloudwatch.tokens import read_token, token_of
from cluster_runtime.api.services.prometheus import name_of, text_of
from cluster_runtime.control.monitoring.metrics import watch
from cluster_runtime.serverless.metrics import history_file
from tests.cluster_runtime.api.conftest import REGION, Endpoint
from tests.waiting import wait_until

CLUSTER = "watched"
OF_CLUSTER = [{"Name": "DBClusterIdentifier", "Value": CLUSTER}]
OF_WRITER = [*OF_CLUSTER, {"Name": "Role", "Value": "WRITER"}]
OF_INSTANCE = [{"Name": "DBInstanceIdentifier", "Value": f"{CLUSTER}-instance-1"}]


@pytest.fixture(scope="module", autouse=True)
def measured(endpoint: Endpoint) -> Iterator[None]:
    """A cluster that some was measured of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "rest", lambda now: 0.1)
        cluster = endpoint.runtime.create_db_cluster(CLUSTER)
        with cluster.connect():
            wait_until(lambda: len(points(endpoint, "CPUUtilization")) > 2)
            wait_until(lambda: points(endpoint, "CommitThroughput"))
        yield


def points(endpoint: Endpoint, name: str) -> tuple[Any, ...]:
    (series,) = endpoint.runtime.describe_metrics(CLUSTER, metric_names=(name,), period=1)
    return tuple(series.datapoints)


@pytest.fixture(scope="module")
def cloudwatch(endpoint: Endpoint) -> Any:
    return endpoint.client("cloudwatch")


def window(minutes: int = 9) -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"StartTime": now - timedelta(minutes=minutes), "EndTime": now + timedelta(minutes=1)}


def stat_of(name: str, **other: Any) -> dict[str, Any]:
    """A query of GetMetricData."""
    metric = {"Namespace": "AWS/RDS", "MetricName": name, "Dimensions": OF_CLUSTER}
    return {
        "Id": name.lower(),
        "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Average", **other},
    }


@pytest.mark.parametrize("dimensions", [OF_CLUSTER, OF_WRITER, OF_INSTANCE])
def test_get_metric_statistics_has_what_was_measured(cloudwatch: Any, dimensions: Any) -> None:
    answer = cloudwatch.get_metric_statistics(
        Namespace="AWS/RDS",
        MetricName="DatabaseConnections",
        Dimensions=dimensions,
        Period=300,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
        **window(),
    )
    assert answer["Label"] == "DatabaseConnections"
    for point in answer["Datapoints"]:
        assert point["Unit"] == "Count"
        assert point["Average"] == pytest.approx(point["Sum"] / point["SampleCount"])
        assert point["Minimum"] <= point["Average"] <= point["Maximum"] == 1.0
        assert point["Timestamp"].tzinfo is not None


@pytest.mark.parametrize(
    "other",
    [
        {"Dimensions": [{"Name": "DBClusterIdentifier", "Value": "nobody"}]},
        {"Dimensions": [{"Name": "DBInstanceIdentifier", "Value": "nobody"}]},
        {"Dimensions": [*OF_CLUSTER, *OF_INSTANCE]},
        {"Dimensions": [*OF_CLUSTER, {"Name": "Role", "Value": "READER"}]},
        {"Dimensions": [{"Name": "EngineName", "Value": "aurora"}]},
        {"Dimensions": []},
        {"MetricName": "Nothing"},
        {"Namespace": "AWS/EC2"},
        {"Unit": "Bytes"},
    ],
)
def test_there_is_nothing_of_what_there_is_not(cloudwatch: Any, other: dict[str, Any]) -> None:
    asked = {
        "Namespace": "AWS/RDS",
        "MetricName": "CPUUtilization",
        "Dimensions": OF_CLUSTER,
        "Period": 60,
        "Statistics": ["Average"],
        **window(),
        **other,
    }
    assert cloudwatch.get_metric_statistics(**asked)["Datapoints"] == []


def test_get_metric_data_answers_each_query_in_both_orders(cloudwatch: Any) -> None:
    cpu = stat_of("CPUUtilization", Period=1, Stat="Maximum")
    cpu["Label"] = "cpu"
    hidden = {**stat_of("Deadlocks"), "ReturnData": False}
    missing = stat_of("Nothing")
    asked = window()
    answers = [
        cloudwatch.get_metric_data(MetricDataQueries=[cpu, hidden, missing], ScanBy=order, **asked)[
            "MetricDataResults"
        ]
        for order in ("TimestampDescending", "TimestampAscending")
    ]
    for results in answers:
        assert [(each["Id"], each["Label"]) for each in results] == [
            ("cpuutilization", "cpu"),
            ("nothing", "Nothing"),
        ]
        assert {each["StatusCode"] for each in results} == {"Complete"}
        assert results[1]["Values"] == []
    down, up = (results[0]["Timestamps"] for results in answers)
    assert len(up) > 1
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)


def test_pages_of_data_have_each_point_once(cloudwatch: Any) -> None:
    queries = [
        stat_of(name, Period=1)
        for name in ("CPUUtilization", "Nothing", "DatabaseConnections", "CPUUtilisation")
    ]
    asked = {"MetricDataQueries": queries, **window()}
    asked["EndTime"] = datetime.now(UTC) - timedelta(seconds=1)
    whole = cloudwatch.get_metric_data(**asked)["MetricDataResults"]
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        **asked, PaginationConfig={"PageSize": 2}
    )
    found: dict[str, list[Any]] = {}
    for page in pages:
        for each in page["MetricDataResults"]:
            found.setdefault(each["Id"], []).extend(each["Timestamps"])
    assert found == {each["Id"]: each["Timestamps"] for each in whole}
    first = cloudwatch.get_metric_data(**asked, MaxDatapoints=1)
    assert first["MetricDataResults"][0]["StatusCode"] == "PartialData"


@given(st.lists(st.integers(0, 7), max_size=6), st.integers(1, 5))
def test_pages_together_are_all_and_no_page_is_too_long(lengths: list[int], most: int) -> None:
    seen: dict[int, list[int]] = {}
    begin, more = 0, True
    while more:
        parts, more = page_of(lengths, begin, most)
        assert sum(part.end - part.begin for part in parts) <= most
        for part in parts:
            seen.setdefault(part.number, []).extend(range(part.begin, part.end))
            assert part.complete is (part.end == lengths[part.number])
        begin += most
    assert seen == {number: list(range(length)) for number, length in enumerate(lengths)}


def test_list_metrics_has_the_three_kinds_of_dimensions(cloudwatch: Any) -> None:
    pages = cloudwatch.get_paginator("list_metrics").paginate(
        Namespace="AWS/RDS", MetricName="CPUUtilization", RecentlyActive="PT3H"
    )
    found = [each["Dimensions"] for page in pages for each in page["Metrics"]]
    for dimensions in (OF_CLUSTER, OF_WRITER, OF_INSTANCE):
        assert dimensions in found
    by_role = cloudwatch.list_metrics(Dimensions=[{"Name": "Role"}])["Metrics"]
    assert by_role
    assert all({"Name": "Role", "Value": "WRITER"} in each["Dimensions"] for each in by_role)
    assert cloudwatch.list_metrics(Namespace="Borealis")["Metrics"]
    other = [{"Name": "DBClusterIdentifier", "Value": "nobody"}]
    assert cloudwatch.list_metrics(Dimensions=other)["Metrics"] == []


def test_pages_of_a_list(cloudwatch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cloudwatch.list_metrics()["Metrics"]
    monkeypatch.setattr(operations, "METRICS_MAX", 7)
    pages = list(cloudwatch.get_paginator("list_metrics").paginate())
    assert [each for page in pages for each in page["Metrics"]] == whole
    assert len(pages) == -(-len(whole) // 7)


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"Period": 7}, "InvalidParameterValue"),
        ({"Period": 90}, "InvalidParameterValue"),
        ({"Statistics": ["Median"]}, "InvalidParameterValue"),
        ({"Unit": "Furlongs"}, "InvalidParameterValue"),
        ({"EndTime": datetime(2020, 1, 1, tzinfo=UTC)}, "InvalidParameterCombination"),
        ({"Period": 1, **window(60)}, "InvalidParameterCombination"),
        ({"ExtendedStatistics": ["p99"]}, "InvalidParameterCombination"),
        ({"Statistics": None}, "InvalidParameterCombination"),
    ],
)
def test_statistics_that_cannot_be_asked_for(
    cloudwatch: Any, other: dict[str, Any], code: str
) -> None:
    asked = {
        "Namespace": "AWS/RDS",
        "MetricName": "CPUUtilization",
        "Period": 60,
        "Statistics": ["Average"],
        **window(),
        **other,
    }
    with pytest.raises(ClientError) as raised:
        cloudwatch.get_metric_statistics(**{k: v for k, v in asked.items() if v is not None})
    assert raised.value.response["Error"]["Code"] == code
    assert type(raised.value) is cloudwatch.exceptions.from_code(code)


@pytest.mark.parametrize(
    ("queries", "other"),
    [
        ([stat_of("A", Period=7)], {}),
        ([stat_of("A", Stat="p99")], {}),
        ([stat_of("A"), stat_of("A")], {}),
        ([{**stat_of("A"), "Id": "A"}], {}),
        ([{"Id": "a", "Expression": "SUM(METRICS())"}], {}),
        ([{"Id": "a"}], {}),
        ([stat_of("A")], {"EndTime": datetime(2020, 1, 1, tzinfo=UTC)}),
        ([stat_of("A")], {"MaxDatapoints": 0}),
        ([], {}),
    ],
)
def test_data_that_cannot_be_asked_for(
    cloudwatch: Any, queries: list[dict[str, Any]], other: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as raised:
        cloudwatch.get_metric_data(MetricDataQueries=queries, **{**window(), **other})
    assert raised.value.response["Error"]["Code"] == "ValidationError"


def test_a_token_of_somebody_else(cloudwatch: Any) -> None:
    for token in ("nonsense", "e30=", token_of(3, datetime.now(UTC))[:-4]):
        with pytest.raises(cloudwatch.exceptions.InvalidNextToken):
            cloudwatch.list_metrics(NextToken=token)


@given(st.text(string.printable, max_size=30))
def test_any_token_is_read_or_refused(token: str) -> None:
    assert fault_of(lambda: read_token(token)) in (None, "InvalidNextToken")


def fault_of(work: Callable[[], object]) -> str | None:
    """With which code it is refused; None where it is not."""
    try:
        work()
    except RefusedRequestError as error:
        return error.fault
    return None


def test_an_operation_that_is_not_here(cloudwatch: Any) -> None:
    with pytest.raises(ClientError) as raised:
        cloudwatch.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "x", "Value": 1}])
    assert raised.value.response["Error"]["Code"] == "NotImplemented"


def test_the_environment_alone_leads_here(endpoint: Endpoint) -> None:
    code = (
        "import boto3; "
        "print(len(boto3.client('cloudwatch').list_metrics(Namespace='AWS/RDS')['Metrics']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=endpoint.environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert int(done.stdout) > 10


# Other protocols than the one that this boto3 takes -------------------------------------------


def by(endpoint: Endpoint, protocol: str, operation: str, members: dict[str, Any]) -> Any:
    """What botocore's own serializer and parser of a protocol make of a call: (status, answer)."""
    model = Session().get_service_model("cloudwatch").operation_model(operation)
    made = create_serializer(protocol).serialize_to_request(members, model)
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    request = AWSRequest(
        made["method"], f"{endpoint.url}{made['url_path']}", headers=made["headers"], data=body
    )
    keys = endpoint.keys
    credentials = BotoCredentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
    SigV4Auth(credentials, "monitoring", REGION).add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(
        prepared.url, data=prepared.body, headers=dict(prepared.headers), method="POST"
    )
    try:
        answer = urllib.request.urlopen(sent, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        read = {
            "status_code": answer.status,
            "headers": {name.lower(): value for name, value in answer.headers.items()},
            "body": answer.read(),
        }
    return create_parser(protocol).parse(read, model.output_shape)


@pytest.mark.parametrize("protocol", ["smithy-rpc-v2-cbor", "json", "query"])
def test_every_protocol_of_the_model_gets_the_same(endpoint: Endpoint, protocol: str) -> None:
    asked = {"MetricDataQueries": [stat_of("CPUUtilization", Period=1)], **window()}
    asked["EndTime"] = datetime.now(UTC) - timedelta(seconds=1)
    found = by(endpoint, protocol, "GetMetricData", asked)
    (result,) = found["MetricDataResults"]
    expected = endpoint.client("cloudwatch").get_metric_data(**asked)["MetricDataResults"][0]
    assert result["Values"]
    assert result == expected
    listed = by(endpoint, protocol, "ListMetrics", {"MetricName": "CPUUtilization"})
    assert {"Name": "Role", "Value": "WRITER"} in listed["Metrics"][-1]["Dimensions"]


@pytest.mark.parametrize("protocol", ["smithy-rpc-v2-cbor", "json", "query"])
def test_every_protocol_tells_errors_by_the_same_code(endpoint: Endpoint, protocol: str) -> None:
    asked = {
        "Namespace": "AWS/RDS",
        "MetricName": "CPUUtilization",
        "Period": 7,
        "Statistics": ["Average"],
        **window(),
    }
    found = by(endpoint, protocol, "GetMetricStatistics", asked)
    assert found["Error"]["Code"] == "InvalidParameterValue"
    assert "Period is 7" in found["Error"]["Message"]
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 400


@given(st.binary(max_size=60))
def test_any_bytes_are_a_map_or_refused(body: bytes) -> None:
    assert fault_of(lambda: dict(cbor.document(body))) in (None, "SerializationException")


def test_items_within_items_without_end_are_refused() -> None:
    with pytest.raises(RefusedRequestError):
        cbor.document(b"\x81" * 100_000)


def test_an_answer_that_the_model_does_not_know_is_an_error_of_ours() -> None:
    service_model("cloudwatch")
    with pytest.raises(ValueError, match="no member"):
        cbor.response("cloudwatch", "ListMetrics", {"Metricks": []})


# Prometheus -----------------------------------------------------------------------------------


def scrape(endpoint: Endpoint, **headers: str) -> tuple[int, str, str]:
    request = urllib.request.Request(f"{endpoint.url}/metrics", headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers["content-type"], answer.read().decode()


def token(endpoint: Endpoint) -> str:
    return (endpoint.state_dir / "metrics-token").read_text().strip()


def good(endpoint: Endpoint) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(endpoint)}"}


def test_prometheus_reads_what_runs_with_the_token(endpoint: Endpoint) -> None:
    status, kind, text = scrape(endpoint, **good(endpoint))
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = text.splitlines()
    labels = (
        f'dbcluster_identifier="{CLUSTER}",dbinstance_identifier="{CLUSTER}-instance-1",'
        'role="WRITER"'
    )
    (line,) = [each for each in lines if each.startswith("aws_rds_cpuutilization_average{")]
    assert line.startswith(f"aws_rds_cpuutilization_average{{{labels}}} ")
    assert 0 <= float(line.rpartition(" ")[2]) <= 100
    assert "# TYPE aws_rds_cpuutilization_average gauge" in lines
    assert len(lines) == len(set(lines))


def test_all_that_is_asked_of_a_paused_cluster_is_read_once(
    endpoint: Endpoint, cloudwatch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.runtime.create_db_cluster("read-once")
    endpoint.runtime.pause_db_cluster("read-once")
    read, reads = history_file.read, list[Path]()

    def counted(directory: Path) -> Any:
        reads.append(directory)
        return read(directory)

    monkeypatch.setattr(history_file, "read", counted)
    of = [{"Name": "DBClusterIdentifier", "Value": "read-once"}]
    queries = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {"Namespace": "AWS/RDS", "MetricName": name, "Dimensions": of},
                "Period": 60,
                "Stat": stat,
            },
        }
        for number, (name, stat) in enumerate(
            [
                ("CPUUtilization", "Average"),
                ("CPUUtilization", "Maximum"),
                ("DatabaseConnections", "Sum"),
                ("Nothing", "Sum"),
            ]
        )
    ]
    found = cloudwatch.get_metric_data(MetricDataQueries=queries, **window())
    assert [each["Id"] for each in found["MetricDataResults"]] == ["q0", "q1", "q2", "q3"]
    assert len(reads) == 1


def test_a_paused_cluster_is_not_scraped_and_not_woken(endpoint: Endpoint) -> None:
    endpoint.runtime.create_db_cluster("asleep")
    endpoint.runtime.pause_db_cluster("asleep")
    _, _, text = scrape(endpoint, **good(endpoint))
    assert CLUSTER in text
    assert "asleep" not in text
    assert endpoint.runtime.describe_db_clusters("asleep")[0].paused


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 400),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
def test_nobody_else_reads_them(endpoint: Endpoint, headers: dict[str, str], status: int) -> None:
    known = {} if not headers or "Authorization" in headers else good(endpoint)
    found, _, text = scrape(endpoint, **{**known, **headers})
    assert found == status
    assert "aws_rds" not in text
    assert token(endpoint) not in text


def test_who_signs_reads_them_too(endpoint: Endpoint) -> None:
    request = AWSRequest("GET", f"{endpoint.url}/metrics")
    keys = endpoint.keys
    credentials = BotoCredentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
    SigV4Auth(credentials, "monitoring", REGION).add_auth(request)
    status, _, text = scrape(endpoint, **dict(request.headers))
    assert status == 200
    assert "aws_rds_cpuutilization_average" in text


def test_the_token_opens_nothing_else(endpoint: Endpoint) -> None:
    request = urllib.request.Request(
        endpoint.url,
        data=b"Action=DescribeDBClusters&Version=2014-10-31",
        headers=good(endpoint),
    )
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=30)
    assert raised.value.code == 400
    raised.value.close()
    mode = (endpoint.state_dir / "metrics-token").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_token_is_kept_and_made_again_where_it_is_empty(tmp_path: Path) -> None:
    assert MetricsToken.of(tmp_path).fits("Bearer ") is False
    file = tmp_path / "metrics-token"
    token = file.read_text().strip()
    assert MetricsToken.of(tmp_path).fits(f"bearer  {token}") is True
    assert MetricsToken.of(tmp_path).fits("AWS4-HMAC-SHA256 x") is None
    file.write_text("")
    assert MetricsToken.of(tmp_path).fits(f"Bearer {token}") is False
    assert file.read_text().strip() not in ("", token)


@pytest.mark.parametrize("damage", ["folder", "bytes"])
def test_a_token_that_cannot_be_read_lets_nobody_in_and_stops_nothing(
    tmp_path: Path, damage: str
) -> None:
    file = tmp_path / "metrics-token"
    if damage == "folder":
        file.mkdir()
    else:
        file.write_bytes(b"\xff\xfe")
    assert MetricsToken.of(tmp_path).fits("Bearer None") is False


def test_labels_are_quoted() -> None:
    text = text_of([("CPUUtilization", {"a": 'x"\\\n'}, 1.5)])
    assert text.splitlines()[-1] == ('aws_rds_cpuutilization_average{a="x\\"\\\\\\n"} 1.5')
    assert name_of("VolumeWriteIOPs") == "aws_rds_volume_write_iops_average"
