"""A tool call is a span; the operations that it needs are below it; statements are kept out."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.tracing import STATEMENTS_VARIABLE
from mcp_server.server import build_server
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools
from tests.traces import spans_in_memory

SQL = "select name from customers where name = 'Ada'"
WRONG = "select secret_thing from customers"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with spans_in_memory() as exporter:
        yield exporter


def of_tool(spans: InMemorySpanExporter, tool: str) -> ReadableSpan:
    (found,) = (
        each
        for each in spans.get_finished_spans()
        if each.name == f"tools/call {tool}" and each.kind.name == "SERVER"
    )
    return found


async def test_a_tool_call_is_a_span_without_its_statement(
    tools: Tools, shop: ClusterHandle, spans: InMemorySpanExporter
) -> None:
    await tools("run_query", cluster="shop", sql=SQL)
    attributes = of_tool(spans, "run_query").attributes
    assert attributes is not None
    assert attributes["gen_ai.tool.name"] == "run_query"
    assert attributes["db.system.name"] == "postgresql"
    assert attributes["borealis.cluster"] == "shop"
    assert "Ada" not in "".join(each.to_json() for each in spans.get_finished_spans())


async def test_a_failed_call_tells_its_error_and_still_no_statement(
    tools: Tools, shop: ClusterHandle, spans: InMemorySpanExporter
) -> None:
    await tools.fails("run_query", cluster="shop", sql=WRONG)
    attributes = of_tool(spans, "run_query").attributes
    assert attributes is not None
    assert attributes["borealis.error.type"] == "UnknownNameError"
    assert "secret_thing" not in "".join(each.to_json() for each in spans.get_finished_spans())


async def test_statements_are_told_when_asked_for(
    tools: Tools,
    shop: ClusterHandle,
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(STATEMENTS_VARIABLE, "1")
    await tools("run_query", cluster="shop", sql=SQL)
    attributes = of_tool(spans, "run_query").attributes
    assert attributes is not None
    assert attributes["db.query.text"] == SQL


async def test_the_operations_of_a_call_are_below_it(
    runtime: Runtime, shop: ClusterHandle, spans: InMemorySpanExporter
) -> None:
    # One that writes has operations of its own when it starts.
    await Tools(build_server(runtime, ServerScope(read_only=True)))("list_clusters")
    call = of_tool(spans, "list_clusters")
    below = [each for each in spans.get_finished_spans() if each.name == "rds.DescribeDBClusters"]
    assert below
    for each in below:
        assert each.parent is not None
        assert each.parent.trace_id == call.context.trace_id
