"""`reindex()` and `reembed()` while agents work: bounded batches, no error, nothing stale."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from memory import BorealisStore, BorealisVectorStore, HashEmbeddings
from memory.errors import ConfigurationError

ITEMS, BATCH, WRITERS = 240, 16, 3
SPACE = ("load",)


class Turned(HashEmbeddings):
    """Another model of as many dimensions."""

    def embed_query(self, text: str) -> list[float]:
        return super().embed_query(text)[::-1]


class Load:
    """Threads that work until the block ends; what went wrong in them is raised there."""

    def __init__(self, works: list[Callable[[int], None]]) -> None:
        self._stop, self._failures = threading.Event(), list[BaseException]()
        self.rounds = [0] * len(works)
        self._threads = [
            threading.Thread(target=self._run, args=(number, work))
            for number, work in enumerate(works)
        ]

    def _run(self, number: int, work: Callable[[int], None]) -> None:
        try:
            while not self._stop.is_set():
                work(self.rounds[number])
                self.rounds[number] += 1
        except BaseException as error:  # noqa: BLE001 - raised by the block
            self._failures.append(error)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]


def store_on(dsn: str, embed: Any, **index: Any) -> BorealisStore:
    made = BorealisStore(dsn, index={"fields": ["text"], "embed": embed, "dims": 384, **index})
    made.setup()
    return made


def stale(dsn: str) -> list[str]:
    """Keys whose vector is not what the new model makes of their text."""
    model = Turned()
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select i.key, i.value ->> 'text', v.embedding::text from borealis.memory_items i"
            " left join borealis.memory_vectors v using (item_key)"
        ).fetchall()
    found = []
    for key, text, vector in rows:
        numbers = [] if vector is None else [float(x) for x in vector[1:-1].split(",")]
        if numbers != pytest.approx(model.embed_query(text), abs=1e-5):
            found.append(key)
    return found


@pytest.mark.timeout(280)
def test_a_store_is_embedded_again_in_bounded_batches_while_it_is_written_to(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memory.store import store as module

    with store_on(fresh_dsn, HashEmbeddings()) as before, store_on(fresh_dsn, Turned()) as after:
        for number in range(ITEMS):
            before.put(SPACE, str(number), {"text": f"note {number}"})
        assert len(stale(fresh_dsn)) == ITEMS
        sizes: list[int] = []
        original = module.write

        def write(scope: Any, index: Any, found: Any, vectors: Any) -> Any:
            sizes.append(len(found.seen))
            return original(scope, index, found, vectors)

        monkeypatch.setattr(module, "write", write)

        def work(writer: int) -> Callable[[int], None]:
            def once(turn: int) -> None:
                key = str((turn * WRITERS + writer) % ITEMS)
                after.put(SPACE, key, {"text": f"changed {turn}"})
                after.put(SPACE, f"new {writer} {turn}", {"text": f"new {turn}"})
                assert len(after.search(SPACE, query="note", limit=20)) == 20
                if turn % 3 == 0:
                    after.delete(SPACE, key)

            return once

        with Load([work(writer) for writer in range(WRITERS)]) as load:
            after.reembed(everything=True, batch=BATCH)
        assert min(load.rounds) > 0
        assert max(sizes) <= BATCH
        assert len(sizes) >= ITEMS // BATCH - load.rounds[0]
        assert stale(fresh_dsn) == []


@pytest.mark.timeout(280)
def test_a_store_s_index_is_made_again_while_it_is_used(fresh_dsn: str) -> None:
    """No search gets less than all, no put waits for its end, and two at once leave one index."""
    with (
        store_on(fresh_dsn, HashEmbeddings(), exact_up_to=0) as store,
        BorealisStore(
            fresh_dsn, index={"fields": ["text"], "distance_type": "l2", "exact_up_to": 0}
        ) as other,
    ):
        for number in range(ITEMS):
            store.put(SPACE, str(number), {"text": f"note {number}"})

        def search(turn: int) -> None:
            assert len(store.search(SPACE, query="note 7", limit=50)) == 50

        def put(turn: int) -> None:
            store.put(SPACE, f"more {turn}", {"text": f"note {turn}"})

        said: list[str] = []

        def again() -> None:
            try:
                other.reindex()
            except ConfigurationError as error:
                said.append(str(error))

        with Load([search, put]) as load:
            twins = [threading.Thread(target=again) for _ in range(2)]
            for twin in twins:
                twin.start()
            for twin in twins:
                twin.join()
        assert min(load.rounds) > 0
        assert len(said) <= 1
        assert all("at the same time" in each for each in said)
        other.reindex()
        other.setup()
    with psycopg.connect(fresh_dsn) as connection:
        rows = connection.execute(
            "select indexname, indexdef from pg_indexes where tablename = 'memory_vectors'"
            " and indexdef like '%hnsw%'"
        ).fetchall()
        invalid = connection.execute(
            "select count(*) from pg_index where not indisvalid"
        ).fetchone()
    assert [name for name, _ in rows] == ["memory_vectors_ann"]
    assert "vector_l2_ops" in rows[0][1]
    assert invalid == (0,)


@pytest.mark.timeout(280)
def test_documents_are_embedded_and_indexed_again_while_they_are_used(fresh_dsn: str) -> None:
    before = BorealisVectorStore(fresh_dsn, HashEmbeddings())
    before.setup()
    before.add_texts([f"note {number}" for number in range(ITEMS)], ids=[*map(str, range(ITEMS))])
    after = BorealisVectorStore(fresh_dsn, Turned())

    def add(turn: int) -> None:
        after.add_texts([f"changed {turn}"], ids=[str(turn % ITEMS)])
        after.add_texts([f"new {turn}"], ids=[f"new {turn}"])

    def search(turn: int) -> None:
        assert len(after.similarity_search("note", k=20)) == 20

    with Load([add, search]) as load:
        assert after.reembed(batch=BATCH) >= ITEMS
        after.reindex()
    assert min(load.rounds) > 0
    for text in ("note 200", "new 0"):
        ((found, distance),) = after.similarity_search_with_score(text, k=1)
        assert (found.page_content, distance) == (text, pytest.approx(0, abs=1e-4))
