"""ask: the built-in translator, the client's own model, and the walls around both."""

from typing import Any

import pytest
from mcp import Client
from mcp_types import CreateMessageResult, ErrorData, TextContent

from mcp_server.questions import ask_once
from tests.mcp_server.conftest import told

OFF_TOPIC = "what is the weather like in Paris tomorrow?"


async def test_a_question_is_answered_with_sql_rows_and_what_they_mean(
    tools: Any, shop: Any
) -> None:
    answer = await tools("ask", cluster="shop", question="How many customers are there?")
    assert answer["answered"] is True
    assert "count" in answer["sql"].lower()
    assert answer["result"]["rows"] == [[3]]
    assert answer["origin"] == "built-in"
    assert 0 < answer["confidence"] <= 1
    assert answer["reading"]


async def test_the_rows_are_those_of_run_query(tools: Any, shop: Any) -> None:
    answer = await tools(
        "ask", cluster="shop", question="What is the average balance of customers?"
    )
    again = await tools("run_query", cluster="shop", sql=answer["sql"])
    assert answer["result"]["rows"] == again["rows"] == [[116.8]]
    assert answer["result"]["columns"] == again["columns"]


async def test_the_limit_bounds_the_rows_of_an_answer(tools: Any, shop: Any) -> None:
    answer = await tools("ask", cluster="shop", question="List the names of all customers", limit=2)
    assert len(answer["result"]["rows"]) == 2
    assert "first 2 rows" in answer["notes"]


async def test_a_question_beside_the_point_is_declined_with_the_reason(
    tools: Any, shop: Any
) -> None:
    answer = await tools("ask", cluster="shop", question=OFF_TOPIC)
    assert answer["answered"] is False
    assert not {"sql", "result"} & set(answer)
    assert answer["reason"]


async def test_a_table_made_since_the_last_question_is_known(tools: Any, bench: Any) -> None:
    first = await tools("ask", cluster="bench", question="How many penguins are there?")
    assert first["answered"] is False
    await tools(
        "execute_sql",
        cluster="bench",
        sql="create table penguins (id int primary key, name text);"
        "insert into penguins values (1, 'Pingu'), (2, 'Pinga'); analyze penguins",
    )
    second = await tools("ask", cluster="bench", question="How many penguins are there?")
    assert second["result"]["rows"] == [[2]]


async def test_a_question_with_an_instruction_in_it_changes_nothing(tools: Any, shop: Any) -> None:
    await tools("ask", cluster="shop", question="customers'; drop table customers; --")
    count = await tools("run_query", cluster="shop", sql="select count(*) from customers")
    assert count["rows"] == [[3]]


class ClientModel:
    """The model of a client that offers sampling; says what it is told to, one thing a call."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.heard: list[str] = []

    async def __call__(self, context: Any, params: Any) -> CreateMessageResult | ErrorData:
        self.heard.append(params.messages[-1].content.text)
        if not self.replies:
            return ErrorData(code=-1, message="the user said no")
        text = f"```sql\n{self.replies.pop(0)}\n```"
        return CreateMessageResult(
            role="assistant", content=TextContent(type="text", text=text), model="scripted"
        )


async def ask_with(tools: Any, model: ClientModel, protocol: str, **arguments: Any) -> Any:
    async with Client(tools.server, sampling_callback=model, mode=protocol) as client:
        await client.list_tools()
        return await client.call_tool("ask", {"cluster": "shop", **arguments})


@pytest.fixture(params=["2026-07-28", "legacy"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Sampling differs: a repeated call since 2026-07-28, a request within the call before."""
    return request.param


async def test_the_clients_model_is_asked_when_the_translator_declines(
    tools: Any, shop: Any, protocol: str
) -> None:
    model = ClientModel("select max(balance) from customers")
    result = await ask_with(tools, model, protocol, question=OFF_TOPIC)
    answer = told(result)
    assert answer["origin"] == "model"
    assert answer["result"]["rows"] == [[250.5]]
    assert len(model.heard) == 1
    assert "customers" in model.heard[0]


async def test_the_clients_model_is_left_alone_when_the_translator_answers(
    tools: Any, shop: Any, protocol: str
) -> None:
    model = ClientModel("select 1")
    result = await ask_with(tools, model, protocol, question="How many customers are there?")
    assert told(result)["origin"] == "built-in"
    assert model.heard == []


async def test_translator_and_model_check_each_other_when_both_are_asked(
    tools: Any, shop: Any, protocol: str
) -> None:
    question = {"question": "How many customers are there?", "client_model": "always"}
    agrees = await ask_with(
        tools, ClientModel("select count(id) from customers"), protocol, **question
    )
    assert told(agrees)["agreement"] is True
    insists = ClientModel("select 99", "select 99")
    differs = await ask_with(tools, insists, protocol, **question)
    assert "they are not the same" in insists.heard[1]
    assert told(differs)["agreement"] is False
    assert told(differs)["confidence"] < told(agrees)["confidence"]


async def test_a_wrong_query_of_the_model_is_repaired(tools: Any, shop: Any, protocol: str) -> None:
    model = ClientModel("select wealth from customers", "select max(balance) from customers")
    result = await ask_with(tools, model, protocol, question=OFF_TOPIC)
    assert told(result)["result"]["rows"] == [[250.5]]
    assert "balance" in model.heard[1]


async def test_a_hostile_query_of_the_model_is_refused(
    tools: Any, shop: Any, protocol: str
) -> None:
    model = ClientModel("delete from customers", "drop table customers", "select pg_sleep(60)")
    result = await ask_with(tools, model, protocol, question=OFF_TOPIC)
    assert told(result)["answered"] is False
    count = await tools("run_query", cluster="shop", sql="select count(*) from customers")
    assert count["rows"] == [[3]]


async def test_a_client_whose_model_fails_before_the_end_of_a_call_gets_the_reason(
    tools: Any, shop: Any
) -> None:
    result = await ask_with(tools, ClientModel(), "legacy", question=OFF_TOPIC)
    assert told(result)["answered"] is False
    assert "the user said no" in told(result)["reason"]


async def test_a_client_can_keep_its_model_out_of_it(tools: Any, shop: Any, protocol: str) -> None:
    model = ClientModel("select 1")
    await ask_with(tools, model, protocol, question=OFF_TOPIC, client_model="never")
    assert model.heard == []


def test_a_question_can_be_asked_without_a_server(shop: Any) -> None:
    answer, _ = ask_once(shop, "How many customers are there?")
    assert answer.result is not None
    assert answer.result.rows == [[3]]
