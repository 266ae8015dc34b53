"""The memory of mem0 or langmem behind lines of JSON; run by `bench/mcp.py` in a peer's Python.

The embedding is given: a vector for each text that will be seen, so that all sides have the same.
Answers have the milliseconds of the call alone.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

sys.path.remove(str(Path(__file__).parent))  # or `mcp` and `memory` would be files of it

OWNER = "ada"
OPEN = ExitStack()
"""What is closed at the end of the process."""
Remember = Callable[[str], object]
Recall = Callable[[str, int], list[str]]


def mem0(vectors: dict[str, list[float]], folder: str) -> tuple[Remember, Recall]:
    """Its local store, Qdrant on disk; texts are kept as they are, without a language model."""
    os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": folder, "OPENAI_API_KEY": "none"}
    from langchain_core.embeddings import Embeddings
    from mem0 import Memory

    class Given(Embeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vectors[text] for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return vectors[text]

    dims = len(next(iter(vectors.values())))
    memory = Memory.from_config(
        {
            "embedder": {"provider": "langchain", "config": {"model": Given()}},
            "vector_store": {
                "provider": "qdrant",
                "config": {"path": folder, "on_disk": True, "embedding_model_dims": dims},
            },
            "history_db_path": f"{folder}/history.db",
        }
    )

    def recall(query: str, limit: int) -> list[str]:
        found = memory.search(query, filters={"user_id": OWNER}, top_k=limit, threshold=0.0)
        return [each["memory"] for each in found["results"]]

    return lambda text: memory.add(text, user_id=OWNER, infer=False), recall


def langmem(vectors: dict[str, list[float]], dsn: str) -> tuple[Remember, Recall]:
    """Its tools over LangGraph's store in PostgreSQL, which like ours outlives the process."""
    from langgraph.store.postgres import PostgresStore
    from langmem import create_manage_memory_tool, create_search_memory_tool

    dims = len(next(iter(vectors.values())))

    def embed(texts: list[str]) -> list[list[float]]:
        # The tool keeps {"content": text}; of that the field is embedded.
        return [vectors[text] for text in texts]

    index: Any = {"dims": dims, "embed": embed, "fields": ["content"]}
    opened = PostgresStore.from_conn_string(dsn, pool_config={"min_size": 1}, index=index)
    store = OPEN.enter_context(opened)
    store.setup()
    namespace = ("memories", OWNER)
    keep = create_manage_memory_tool(namespace=namespace, store=store)
    search = create_search_memory_tool(namespace=namespace, store=store)

    def recall(query: str, limit: int) -> list[str]:
        found = json.loads(search.invoke({"query": query, "limit": limit}))
        return [each["value"]["content"] for each in found]

    return lambda text: keep.invoke({"content": text}), recall


def main() -> None:
    """Answer requests until there are no more."""
    requests, answers = sys.stdin, sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    first = json.loads(requests.readline())
    made = {"mem0": mem0, "langmem": langmem}[first["side"]]
    remember, recall = made(first["vectors"], first["place"])
    _tell(answers, {"ready": True})
    with OPEN:
        for line in requests:
            asked = json.loads(line)
            began = time.perf_counter()
            if asked["do"] == "remember":
                remember(asked["text"])
                found: list[str] = []
            else:
                found = recall(asked["text"], asked["limit"])
            _tell(answers, {"ms": (time.perf_counter() - began) * 1000, "found": found})


def _tell(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
