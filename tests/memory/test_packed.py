"""Bytes of unchanged messages: never those of one that changed, and for no longer than it lives."""

import gc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from memory.encoding.packed import PackedMessages
from memory.encoding.serde import BorealisSerializer


def changes() -> list[Any]:
    def set_to(name: str, value: Any) -> Any:
        return lambda message: setattr(message, name, value)

    return [
        set_to("content", "other"),
        set_to("id", "2"),
        set_to("name", "n"),
        set_to("response_metadata", {"a": 1}),
        lambda message: message.additional_kwargs.update(a=1),
        lambda message: message.tool_calls.append({"name": "t", "args": {}, "id": "1"}),
        lambda message: message.__pydantic_extra__.update(more=1),
        lambda message: message.__dict__.pop("name"),
    ]


@pytest.mark.parametrize("change", changes())
def test_a_message_that_changed_is_packed_again(change: Any) -> None:
    serde = BorealisSerializer()
    message = AIMessage("x", id="1")
    kind, before = serde.dumps_typed([message])
    read = serde.loads_typed((kind, before))[0]
    for each in (message, read):
        assert serde.dumps_typed([each]) == (kind, before)
        change(each)
        packed = serde.dumps_typed([each])
        assert packed != (kind, before)
        assert packed == BorealisSerializer().dumps_typed([each])


@given(st.lists(st.sampled_from(["content", "id", "name"]), max_size=6), st.data())
def test_after_any_changes_the_bytes_are_those_of_a_serializer_that_knows_nothing(
    names: list[str], data: st.DataObject
) -> None:
    serde, message = BorealisSerializer(), HumanMessage("x")
    for name in names:
        setattr(message, name, data.draw(st.sampled_from(["", "a", "b", "\x00"])))
        assert serde.dumps_typed(message) == BorealisSerializer().dumps_typed(message)


def test_what_is_kept_lives_as_long_as_its_message() -> None:
    packed = PackedMessages()
    messages = [HumanMessage(str(n)) for n in range(10)]
    for message in messages:
        packed.note(message, message.content.encode())
    assert [packed.get(message) for message in messages] == [b"%d" % n for n in range(10)]
    del messages[3:], message
    gc.collect()
    assert len(packed) == 3


@pytest.mark.parametrize(
    "message",
    [
        AIMessage("x", id="1", tool_calls=[{"name": "t", "args": {"a": (1,)}, "id": "1"}]),
        AIMessage([{"type": "text", "text": "x"}], response_metadata={"model": "m"}),
        HumanMessage("x", name="n"),
        ToolMessage("x", tool_call_id="1", artifact=[Document("d", metadata={"a": (1,)})]),
        Document("d", id="1", metadata={"a": 1}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_is_read_as_its_constructor_makes_it(message: Any) -> None:
    serde = BorealisSerializer()
    read = serde.loads_typed(serde.dumps_typed(message))
    made = type(message)(**message.__dict__)
    assert read == made == message
    assert type(read) is type(message)
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    ):
        assert getattr(read, name) == getattr(made, name)
    assert serde.dumps_typed(read) == serde.dumps_typed(message)
