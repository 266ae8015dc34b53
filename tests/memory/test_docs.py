"""The examples of docs/memory.md run as they stand there, in order, with scripted models."""

import re
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph

from memory import BorealisSaver, BorealisStore

PAGE = Path(__file__).parent.parent.parent / "docs" / "memory.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


class ScriptedModel(GenericFakeChatModel):
    """Says what it was told to say, whatever its tools are."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


class Cluster:
    """A cluster, as far as `memory` is concerned."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def dsn(self, endpoint: str = "writer") -> str:
        return self._dsn


def scripted(*replies: AIMessage) -> ScriptedModel:
    return ScriptedModel(messages=iter(replies))


@pytest.fixture
def names(fresh_dsn: str) -> dict[str, Any]:
    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda state: {"messages": [AIMessage("hello")]})
    builder.add_edge(START, "agent")
    return {
        "cluster": Cluster(fresh_dsn),
        "builder": builder,
        "BorealisSaver": BorealisSaver,
        "BorealisStore": BorealisStore,
    }


def test_the_page_has_the_examples() -> None:
    assert len(EXAMPLES) == 6


def test_langgraph_in_three_lines(names: dict[str, Any]) -> None:
    exec(EXAMPLES[0], names)
    config = {"configurable": {"thread_id": "1"}}
    names["graph"].invoke({"messages": [("user", "hi")]}, config)
    with BorealisSaver(names["cluster"]) as another:
        found = another.get_tuple(config)  # type: ignore[arg-type]
    assert found is not None
    assert [m.content for m in found.checkpoint["channel_values"]["messages"]] == ["hi", "hello"]


def test_create_agent_remembers_its_thread(names: dict[str, Any]) -> None:
    names["model"] = scripted(AIMessage("Noted."), AIMessage("Blue."))
    exec(EXAMPLES[1], names)
    config = {"configurable": {"thread_id": "1"}}
    result = names["agent"].invoke({"messages": [("user", "Which colour?")]}, config)
    assert [m.content for m in result["messages"]] == [
        "My favourite colour is blue.",
        "Noted.",
        "Which colour?",
        "Blue.",
    ]


def test_langmems_tools_remember_and_find(names: dict[str, Any]) -> None:
    def call(tool: str, **arguments: Any) -> AIMessage:
        return AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": tool}])

    names["model"] = scripted(
        call("manage_memory", content="favourite colour: blue", action="create"),
        AIMessage("I will remember."),
        call("search_memory", query="colour"),
        AIMessage("Blue."),
    )
    exec(EXAMPLES[1].split("\n\n")[0], names)
    exec(EXAMPLES[2], names)
    config = {"configurable": {"user": "ada"}}
    names["agent"].invoke({"messages": [("user", "My favourite colour is blue.")]}, config)
    result = names["agent"].invoke({"messages": [("user", "Which colour?")]}, config)
    assert any("favourite colour: blue" in str(m.content) for m in result["messages"])
    assert names["store"].search(("memories", "ada"), query="colour")[0].value


def test_documents_and_chat_history(names: dict[str, Any], capsys: Any) -> None:
    exec(EXAMPLES[3], names)
    assert "a red boat" in capsys.readouterr().out
    assert [m.content for m in names["history"].messages] == ["hello"]


def test_pgvectorstore_over_a_cluster(names: dict[str, Any], capsys: Any) -> None:
    exec(EXAMPLES[4], names)
    assert "a red boat" in capsys.readouterr().out
    names["engine"]._run_as_sync(names["engine"].close())
