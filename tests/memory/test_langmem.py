"""LangMem's background memories over our store: made, consolidated and removed as over LangGraph's.

Source: langmem.create_memory_store_manager and langmem.ReflectionExecutor.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langmem import ReflectionExecutor, create_memory_store_manager

from memory import BorealisStore, HashEmbeddings

ID = re.compile("[0-9a-f]{32}")
SPACE = ("memories", "{user}")
ADA: Any = {"configurable": {"user": "ada", "thread_id": "talk"}}


class Extracting(BaseChatModel):
    """A chat model that knows three things to do about memories, and does what it is told."""

    @property
    def _llm_type(self) -> str:
        return "extracting"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self.bind(tools=list(tools))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **_: Any,
    ) -> ChatResult:
        text = "\n".join(str(message.content) for message in messages)
        known = ID.findall(text)
        if "forget" in text:
            call: tuple[str, dict[str, Any]] = ("RemoveDoc", {"json_doc_id": known[0]})
        elif "green now" in text:
            patch = {"op": "replace", "path": "/content", "value": "likes green"}
            edit = {"json_doc_id": known[0], "planned_edits": "colour", "patches": [patch]}
            call = ("PatchDoc", edit)
        else:
            call = ("Memory", {"content": "likes blue"})
        message = AIMessage("", tool_calls=[{"name": call[0], "args": call[1], "id": "1"}])
        return ChatResult(generations=[ChatGeneration(message=message)])


def contents(store: BaseStore) -> list[Any]:
    return [item.value for item in store.search(("memories",))]


def said(text: str) -> Any:
    return {"messages": [{"role": "user", "content": text}]}


async def consolidated(store: BaseStore) -> list[Any]:
    """What is remembered after each of three conversations."""
    manager = create_memory_store_manager(
        Extracting(), namespace=SPACE, store=store, enable_deletes=True
    )
    seen = []
    manager.invoke(said("I like blue"), config=ADA)
    seen.append(contents(store))
    await manager.ainvoke(said("My favourite colour is green now"), config=ADA)
    seen.append(contents(store))
    found = manager.search(query="colour", config=ADA)
    seen.append([item.value.content for item in found])
    manager.invoke(said("forget my colour"), config=ADA)
    seen.append(contents(store))
    return seen


@pytest.fixture
def store(fresh_dsn: str) -> Any:
    with BorealisStore(fresh_dsn, index={}) as made:
        made.setup()
        yield made


async def test_memories_are_extracted_changed_and_removed_as_over_langgraph_s_store(
    store: BorealisStore,
) -> None:
    reference = InMemoryStore(index={"embed": HashEmbeddings(), "dims": 384})
    expected = await consolidated(reference)
    assert await consolidated(store) == expected
    blue, green = (
        [{"kind": "Memory", "content": {"content": f"likes {colour}"}}]
        for colour in ("blue", "green")
    )
    assert expected == [blue, green, ["likes green"], []]


def graph_that(remember: Callable[[dict[str, Any]], object], store: BorealisStore) -> Any:
    def chat(state: MessagesState) -> Any:
        remember({"messages": state["messages"]})
        return {"messages": [AIMessage("Noted.")]}

    builder = StateGraph(MessagesState)
    builder.add_node("chat", chat)
    builder.add_edge(START, "chat")
    return builder.compile(store=store)


def test_reflection_runs_in_the_background_and_tells_of_its_thread(store: BorealisStore) -> None:
    model = Extracting()
    manager = create_memory_store_manager(model, namespace=SPACE, store=store)
    futures: list[Any] = []
    with ReflectionExecutor(manager, store=store) as executor:
        graph = graph_that(lambda payload: futures.append(executor.submit(payload)), store)
        graph.invoke(said("I like blue"), ADA)
        futures[0].result(timeout=60)
    (item,) = store.remembered(("memories", "ada"))
    assert item.value["content"] == {"content": "likes blue"}
    assert item.origin["thread_id"] == "talk"
