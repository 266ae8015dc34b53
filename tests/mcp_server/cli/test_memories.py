"""`memory show`, `threads`, `export`, `import`, `copy` and `fork`, as a person types them."""

import json
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.config import get_store
from langgraph.graph import START, MessagesState, StateGraph

from cluster_runtime import Runtime
from memory import BorealisSaver, BorealisStore
from tests.mcp_server.cli.test_branching import Done, borealis

THREAD: Any = {"configurable": {"thread_id": "talk"}}


def graph(saver: BorealisSaver, store: BorealisStore) -> Any:
    def agent(state: MessagesState) -> Any:
        get_store().put(("users", "ada"), "colour", {"text": "favourite colour: blue"}, ttl=60)
        return {"messages": [AIMessage("Noted.")]}

    builder = StateGraph(MessagesState)
    builder.add_node("agent", agent)
    builder.add_edge(START, "agent")
    return builder.compile(checkpointer=saver, store=store)


def test_what_an_agent_remembers_is_seen_and_moved(engine_dir: Path, tmp_path: Path) -> None:
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:

        def run(*arguments: str) -> Done:
            return borealis(engine_dir / "state", "memory", *arguments)

        notes = runtime.create_db_cluster("notes")
        refused = run("threads", "notes")
        assert refused.returncode == 1
        assert "borealis memory migrate notes" in refused.stderr
        runtime.create_restore_point("notes", "tick")
        with BorealisSaver(notes) as saver, BorealisStore(notes, index={}) as store:
            saver.setup(), store.setup()
            said = {"messages": [("user", "I like blue.")]}
            # Each checkpoint in a transaction of its own: then there is a moment to fork at.
            graph(saver, store).invoke(said, THREAD, durability="sync")
            store.put(("facts",), "sea", {"text": "the sea is deep"})

            (item,) = json.loads(run("show", "notes", "--under", "users/ada", "--json").stdout)
            assert item["value"] == {"text": "favourite colour: blue"}
            assert item["namespace"] == ["users", "ada"]
            assert item["origin"]["thread_id"] == "talk"
            assert item["origin"]["node"] == "agent"
            assert item["expires_at"] > item["updated_at"]
            shown = run("show", "notes").stdout
            assert "agent step 1 of thread talk" in shown
            assert "not a run" in shown
            best = json.loads(run("show", "notes", "--query", "colour", "--json").stdout)
            assert [each["key"] for each in best] == ["colour", "sea"]
            assert best[0]["score"] > best[1]["score"]

            (index,) = json.loads(run("indexes", "notes", "--json").stdout)
            assert (index["namespace"], index["ready"]) == (None, True)
            assert "all namespaces" in run("indexes", "notes").stdout

            (thread,) = json.loads(run("threads", "notes", "--json").stdout)
            assert (thread["thread_id"], thread["checkpoints"]) == ("talk", 3)
            file = tmp_path / "talk.thread"
            assert run("export", "notes", "talk", str(file)).returncode == 0
            again = run("export", "notes", "talk", str(file))
            assert again.returncode == 1
            assert "choose another one" in again.stderr
            imported = run("import", "notes", str(file), "--thread", "twin", "--json")
            assert json.loads(imported.stdout)["thread_id"] == "twin"
            runtime.create_db_cluster("other")
            assert run("copy", "notes", "twin", "other").returncode == 0
            assert "twin" in run("threads", "other").stdout
            start = list(saver.list(THREAD))[-1].config["configurable"]["checkpoint_id"]
            forked = run("fork", "notes", "talk", "try", "--checkpoint", start, "--json")
            assert forked.returncode == 0, forked.stderr
            assert json.loads(forked.stdout)["cluster"] == "try"
            with BorealisStore(runtime.cluster("try")) as then:
                assert then.get(("users", "ada"), "colour") is None
            # What the agent remembered because of a step, without that step.
            known = [each.config["configurable"]["checkpoint_id"] for each in saver.list(THREAD)]
            assert item["origin"]["checkpoint_id"] in known
