"""Conversations, corrections and the semantic layer, as a client of the server has them."""

from collections.abc import Iterator
from typing import Any

import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.server import build_server
from mcp_server.toolkit.toolsets import EVERY
from mcp_server.tools import ServerScope
from tests.mcp_server.conftest import Tools

KIOSK = """
create table kiosk (kiosk_id int primary key, title text not null, town text not null);
create table receipt (receipt_id int primary key, kiosk_id int not null references kiosk,
  ordered_on date not null, shipped_on date not null, qty int not null, price numeric not null);
insert into kiosk values (1, 'Red', 'Paris'), (2, 'Blue', 'Paris'), (3, 'Green', 'Rome');
insert into receipt values (1, 1, '2022-12-30', '2023-01-02', 2, 5),
  (2, 2, '2023-03-03', '2023-03-04', 1, 7), (3, 3, '2023-12-30', '2024-01-01', 4, 2);
analyze;
"""
SAID = """
cubes:
  - name: receipt
    measures: [{name: revenue, type: number, sql: sum(qty * price), meta: {synonyms: [turnover]}}]
  - {name: kiosk, meta: {synonyms: [booth]}}
"""


pytestmark = pytest.mark.usefixtures("street")


@pytest.fixture(scope="module")
def street(runtime: Runtime) -> Iterator[ClusterHandle]:
    cluster = runtime.create_db_cluster("street")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(KIOSK)
    yield cluster
    runtime.delete_db_cluster("street", skip_final_snapshot=True)


@pytest.fixture(scope="module")
def tools(runtime: Runtime) -> Tools:
    return Tools(build_server(runtime, ServerScope(toolsets=EVERY, allow_destructive=True)))


async def test_a_question_builds_on_the_answer_with_a_handle(tools: Any) -> None:
    first = await tools("ask", cluster="street", question="How many kiosks are in Paris?")
    assert first["result"]["rows"] == [[2]]
    second = await tools("ask", cluster="street", question="and in Rome?", after=first["handle"])
    assert second["result"]["rows"] == [[1]]
    third = await tools("ask", cluster="street", question="which ones?", after=second["handle"])
    assert third["result"]["rows"] == [["Green"]]


async def test_a_handle_of_nothing_is_refused_with_what_to_do(tools: Any) -> None:
    text = await tools.fails("ask", cluster="street", question="and in Rome?", after="nope")
    assert "no answer 'nope'" in text
    assert "ask the whole question" in text


async def test_the_schema_is_asked_like_anything_else(tools: Any) -> None:
    answer = await tools("ask", cluster="street", question="What tables are there?")
    assert [row[0] for row in answer["result"]["rows"]] == ["kiosk", "receipt"]


async def test_a_correction_is_taught_shown_and_forgotten(tools: Any) -> None:
    question = "How many receipts were ordered in 2023?"
    first = await tools("ask", cluster="street", question=question)
    assert first["result"]["rows"] == [[2]]
    right = await tools("ask", cluster="street", question="no, by ship date", after=first["handle"])
    assert right["result"]["rows"] == [[2]]
    assert right["corrects"] is True

    taught = await tools("semantics", cluster="street", action="teach", handle=right["handle"])
    assert taught["taught"] == question
    again = await tools("ask", cluster="street", question="How many receipts were ordered in 2024?")
    assert again["origin"] == "solved"
    assert again["result"]["rows"] == [[1]]

    (kept,) = (await tools("semantics", cluster="street"))["taught"]
    done = await tools("semantics", cluster="street", action="forget", question=kept["question"])
    assert done == {"forgotten": True}
    assert (await tools("semantics", cluster="street"))["taught"] == []


async def test_an_answer_to_a_follow_up_is_taught_with_the_whole_question(tools: Any) -> None:
    first = await tools("ask", cluster="street", question="How many kiosks are in Paris?")
    second = await tools("ask", cluster="street", question="and in Rome?", after=first["handle"])
    text = await tools.fails("semantics", cluster="street", action="teach", handle=second["handle"])
    assert "give the whole question" in text


async def test_semantics_are_set_used_and_go_where_the_cluster_goes(
    tools: Any, runtime: Runtime
) -> None:
    text = await tools.fails(
        "semantics", cluster="street", action="set", document=SAID.replace("price", "prise")
    )
    assert "did you mean 'price'?" in text
    assert (await tools("semantics", cluster="street"))["document"] == ""

    await tools("semantics", cluster="street", action="set", document=SAID)
    answer = await tools("ask", cluster="street", question="turnover by town")
    assert sorted(answer["result"]["rows"]) == [["Paris", 17], ["Rome", 8]]

    await tools("branch", action="create", cluster="street", branch="alley")
    try:
        there = await tools("ask", cluster="alley", question="How many booths are there?")
        assert there["result"]["rows"] == [[3]]
    finally:
        runtime.delete_db_cluster("alley", skip_final_snapshot=True)

    await tools("semantics", cluster="street", action="set", document="")
    assert (await tools("semantics", cluster="street"))["document"] == ""


async def test_a_suggestion_is_a_document(tools: Any) -> None:
    answer = await tools("semantics", cluster="street", action="suggest")
    assert "sum(qty * price)" in answer["text"]


@pytest.mark.parametrize("action", ["set", "teach", "forget"])
async def test_what_an_action_needs_is_said(tools: Any, action: str) -> None:
    assert f"{action} needs" in await tools.fails("semantics", cluster="street", action=action)


async def test_replacing_and_forgetting_are_confirmed(runtime: Runtime, tools: Any) -> None:
    """Seen: a model could replace, remove and forget what a person had set."""
    careful = Tools(build_server(runtime, ServerScope(toolsets=EVERY)))
    await careful("semantics", cluster="street", action="set", document=SAID)
    for arguments in (
        {"action": "set", "document": SAID},
        {"action": "set", "document": ""},
        {"action": "forget", "question": "How many?"},
    ):
        text = await careful.fails("semantics", cluster="street", **arguments)
        assert "needs a confirmation" in text
    assert (await tools("semantics", cluster="street"))["document"] == SAID
    await tools("semantics", cluster="street", action="set", document="")
