"""A LangGraph agent with memory in a process of its own.

`python -m mcp_server.cli.demo.agent TEXT`

It is a real graph with real tools; only its model follows a script, so that it needs no network.
The conversation lives in the checkpointer, what it was asked to remember in the store, and both
in the PostgreSQL cluster that the environment variable BOREALIS_DSN names. The process keeps
nothing, so ending it loses nothing.
"""

import json
import os
import sys
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.config import get_store
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from mcp_server.cli.demo import DSN_VARIABLE
from memory import BorealisSaver, BorealisStore

NAMESPACE = ("memories", "demo-user")
CONFIG: RunnableConfig = {"configurable": {"thread_id": "demo-thread"}}


@tool
def remember(fact: str) -> str:
    """Keep a fact about the user for later conversations."""
    get_store().put(NAMESPACE, fact, {"fact": fact})
    return f"noted: {fact}"


@tool
def recall(question: str) -> str:
    """Find what is known about the user that bears on a question."""
    found = get_store().search(NAMESPACE, query=question, limit=1)
    return str(found[0].value["fact"]) if found else "nothing"


class ScriptedModel(BaseChatModel):
    """Stands in for a language model: statements are remembered, questions are looked up."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.reply_to(messages[-1]))])

    def reply_to(self, message: BaseMessage) -> AIMessage:
        """What the script says to a message."""
        text = str(message.content)
        match message:
            case HumanMessage() if text.endswith("?"):
                call = {"name": "recall", "args": {"question": text}, "id": "recall-1"}
                return AIMessage(content="", tool_calls=[call])
            case HumanMessage():
                fact = text.removeprefix("Please remember: ")
                call = {"name": "remember", "args": {"fact": fact}, "id": "remember-1"}
                return AIMessage(content="", tool_calls=[call])
            case ToolMessage(name="recall"):
                return AIMessage(content=f"You told me that {text}.")
            case _:
                return AIMessage(content="I will remember that.")


def build_agent(
    saver: BorealisSaver, store: BorealisStore
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The usual agent loop: the model, and the tools that it asks for, until it asks for none."""
    model = ScriptedModel()

    def think(state: MessagesState) -> dict[str, list[BaseMessage]]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", think)
    graph.add_node("tools", ToolNode([remember, recall]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=saver, store=store)


def main(text: str) -> None:
    """Say one thing to the agent; prints its reply, as a line of JSON."""
    dsn = os.environ[DSN_VARIABLE]
    with BorealisSaver(dsn) as saver, BorealisStore(dsn, index={}) as store:
        saver.setup()
        store.setup()
        agent = build_agent(saver, store)
        before = len(agent.get_state(CONFIG).values.get("messages", []))
        state = agent.invoke({"messages": [HumanMessage(text)]}, CONFIG)
    reply = {"reply": state["messages"][-1].content, "messages_before": before, "pid": os.getpid()}
    print(json.dumps(reply))


if __name__ == "__main__":
    main(sys.argv[1])
