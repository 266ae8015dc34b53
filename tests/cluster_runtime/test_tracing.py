"""OpenTelemetry: nothing without being asked; else a span for each operation, in memory here."""

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cluster_runtime import Runtime, tracing
from cluster_runtime.control.operations.clusters import CreateDBCluster, PauseDBCluster
from cluster_runtime.control.operations.instances import RebootDBInstance
from cluster_runtime.control.spans import attributes_of, name_of
from cluster_runtime.errors import ClusterNotFoundError
from tests.hosts import end_hosts
from tests.traces import spans_in_memory

PASSWORD = "a-Stable-passw0rd"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with spans_in_memory() as exporter:
        yield exporter


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = (each for each in spans.get_finished_spans() if each.name == name)
    return found


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, ()),
        ({"OTEL_SERVICE_NAME": "agents"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x:4318"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x:4318"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ("otlp", "console")),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, ()),
    ],
)
def test_the_standard_variables_say_what_is_exported(
    variables: dict[str, str], wanted: tuple[str, ...]
) -> None:
    assert tracing.exporters(variables) == wanted


def test_a_span_is_named_as_the_operation_and_tells_no_parameter_but_identifiers() -> None:
    request = CreateDBCluster("notes", master_user_password=PASSWORD)
    told = attributes_of(request, "eu-west-1")
    assert name_of(request) == "rds.CreateDBCluster"
    assert told == {
        "db.system.name": "postgresql",
        "aws.region": "eu-west-1",
        "aws.rds.db_cluster_identifier": "notes",
        "aws.rds.db_instance_identifier": None,
    }
    assert name_of(PauseDBCluster("notes")) == "borealis.PauseDBCluster"
    reboot = attributes_of(RebootDBInstance("notes-instance-1"), "eu-west-1")
    assert reboot["aws.rds.db_instance_identifier"] == "notes-instance-1"


def test_nothing_of_it_is_loaded_where_nobody_asks() -> None:
    code = (
        "import os, sys; from cluster_runtime import Runtime, tracing\n"
        "with tracing.exporting({}), tracing.span('x', {}): tracing.annotate({'a': 1})\n"
        "assert tracing.context_headers() == {}\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_the_extra_all_works_and_the_log_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from cluster_runtime import tracing\n"
        "with tracing.exporting({'OTEL_TRACES_EXPORTER': 'otlp'}), tracing.span('x', {}): pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pip install 'borealis-postgres[otel]'" in done.stderr


def test_an_exporter_that_is_not_known_is_named(caplog: pytest.LogCaptureFixture) -> None:
    assert tracing._exporter("zipkin") is None
    assert "OTEL_TRACES_EXPORTER=zipkin" in caplog.text


def test_operations_of_a_runtime_have_spans_below_that_of_the_program(
    runtime: Runtime, spans: InMemorySpanExporter
) -> None:
    with trace.get_tracer("program").start_as_current_span("work") as work:
        cluster = runtime.create_db_cluster("notes", master_user_password=PASSWORD)
    created = named(spans, "rds.CreateDBCluster")
    assert created.attributes is not None
    assert created.parent is not None
    assert created.parent.span_id == work.get_span_context().span_id
    assert created.attributes["db.system.name"] == "postgresql"
    assert created.attributes["aws.region"] == "us-east-1"
    assert created.attributes["aws.rds.db_cluster_identifier"] == "notes"
    with pytest.raises(ClusterNotFoundError):
        runtime.pause_db_cluster("nots")
    failed = named(spans, "borealis.PauseDBCluster")
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "ClusterNotFoundError"
    assert failed.status.status_code is trace.StatusCode.ERROR
    assert "nots" in (failed.status.description or "")
    spans.clear()
    runtime.pause_db_cluster("notes")
    paused = named(spans, "instance.pause")
    assert paused.parent is not None
    assert paused.parent.span_id == named(spans, "borealis.PauseDBCluster").context.span_id
    cluster.connect().close()
    woken = named(spans, "instance.start")
    assert woken.attributes is not None
    assert woken.attributes["aws.rds.db_cluster_resource_id"] == cluster.id
    runtime.failover_db_cluster("notes")
    assert named(spans, "rds.FailoverDBCluster").status.is_ok
    assert PASSWORD not in "".join(each.to_json() for each in spans.get_finished_spans())


def test_an_error_of_postgresql_is_told_without_its_text(spans: InMemorySpanExporter) -> None:
    with pytest.raises(psycopg.Error), tracing.span("x", {}):
        raise psycopg.errors.SyntaxError("LINE 1: select secret_thing")
    failed = named(spans, "x")
    assert failed.status.description is None
    assert failed.attributes == {"error.type": "SyntaxError"}
    assert failed.events == ()


class Collector(HTTPServer):
    """Takes spans as a collector does: OTLP over HTTP, in protobuf."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken: list[ExportTraceServiceRequest] = []

    def spans(self) -> list[Any]:
        return [
            span
            for each in self.taken
            for resource in each.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        said = ExportTraceServiceRequest()
        said.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append(said)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def test_a_host_in_the_background_exports_below_the_span_of_whoever_called(
    state_dir: Path, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector = Collector()
    thread = Thread(target=collector.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    try:
        with (
            Runtime.open(state_dir, host="daemon", warm_pool_size=0) as runtime,
            trace.get_tracer("program").start_as_current_span("work") as work,
        ):
            runtime.describe_db_clusters()
        end_hosts(state_dir.parent)  # which sends what it has not sent yet
    finally:
        collector.shutdown()
        thread.join()
        collector.server_close()
    (told,) = (each for each in collector.spans() if each.name == "rds.DescribeDBClusters")
    assert int.from_bytes(told.parent_span_id, "big") == work.get_span_context().span_id
    resource = {
        each.key: each.value.string_value
        for each in collector.taken[0].resource_spans[0].resource.attributes
    }
    assert resource["service.name"] == "borealis"
