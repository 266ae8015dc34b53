"""A LangGraph agent whose conversation and memory live in a PostgreSQL cluster.

    python examples/langgraph_agent.py

The graph is built twice, as two processes would build it: the second one knows what the first was
told. A function stands in for the language model, so that the example needs no network; put
`init_chat_model("...").bind_tools([remember])` in its place.
"""

import tempfile

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.config import get_store
from langgraph.graph import START, MessagesState, StateGraph

from cluster_runtime import Cluster, Runtime
from memory import BorealisSaver, BorealisStore

USER = ("memories", "ada")


def respond(state: MessagesState) -> dict:
    """Keep what the user says; answer questions from what was kept."""
    text = state["messages"][-1].content
    store = get_store()
    if text.endswith("?"):
        found = store.search(USER, query=text, limit=1)
        reply = found[0].value["text"] if found else "I do not know."
    else:
        store.put(USER, text, {"text": text})
        reply = "Noted."
    return {"messages": [AIMessage(reply)]}


def say(cluster: Cluster, text: str) -> list:
    """One turn of the conversation, by an agent that starts from nothing but the cluster."""
    with BorealisSaver(cluster) as saver, BorealisStore(cluster, index={}) as store:
        saver.setup()
        store.setup()
        graph = StateGraph(MessagesState)
        graph.add_node("respond", respond)
        graph.add_edge(START, "respond")
        agent = graph.compile(checkpointer=saver, store=store)
        config = {"configurable": {"thread_id": "ada-1"}}
        return agent.invoke({"messages": [HumanMessage(text)]}, config)["messages"]


def main(state_dir: str) -> None:
    with Runtime.open(state_dir) as runtime:
        cluster = runtime.create_db_cluster("agent-memory")
        say(cluster, "My favourite colour is blue.")
        conversation = say(cluster, "What is my favourite colour?")
        for message in conversation:
            print(f"{message.type}: {message.content}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as state_dir:
        main(state_dir)
