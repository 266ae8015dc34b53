"""Bytes of unchanged messages: never those of one that changed, and for no longer than it lives."""

import gc
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from memory.encoding.msgpack import array_head, extension_head
from memory.encoding.packed import PackedMessages
from memory.encoding.serde import BorealisSerializer
from memory.errors import NotSerializableError


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


@pytest.mark.parametrize("change", changes())
def test_what_is_read_again_shares_nothing_that_can_change(change: Any) -> None:
    serde = BorealisSerializer()
    stored = serde.dumps_typed([AIMessage("x", id="1"), HumanMessage("y", id="2")])
    change(serde.loads_typed(stored)[0])
    for _ in range(3):
        again = serde.loads_typed(stored)
        made = BorealisSerializer().loads_typed(stored)
        assert again == made == [AIMessage("x", id="1"), HumanMessage("y", id="2")]
        for name in (
            "__dict__",
            "__pydantic_fields_set__",
            "__pydantic_extra__",
            "__pydantic_private__",
        ):
            assert getattr(again[0], name) == getattr(made[0], name)
        assert serde.dumps_typed(again) == stored
        change(again[0])


@pytest.mark.parametrize(
    "message", [AIMessage("x", response_metadata={"a": []}), HumanMessage(["a"]), HumanMessage("h")]
)
def test_only_what_cannot_change_inside_is_remembered(message: Any) -> None:
    packed = PackedMessages()
    packed.note_read(message, b"data")
    again = packed.again(b"data")
    assert again == (message if message.content == "h" else None)
    assert again is not message


def test_what_was_read_is_remembered_up_to_a_limit() -> None:
    packed = PackedMessages(limit=5000)
    for number in range(100):
        packed.note_read(HumanMessage("x"), b"%03d" % number)
    found = [n for n in range(100) if packed.again(b"%03d" % n) is not None]
    assert found == list(range(91, 100))
    packed.note_read(HumanMessage("x"), b"x" * 10_000)
    assert packed.again(b"099") is packed.again(b"x" * 10_000) is None


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_the_head_of_an_array_is_ormsgpacks(count: int) -> None:
    assert array_head(count) + b"\xc0" * count == ormsgpack.packb([None] * count)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 15, 16, 17, 255, 256, 65_535, 65_536])
def test_the_head_of_an_extension_value_is_ormsgpacks(size: int) -> None:
    data = b"x" * size
    assert extension_head(5, size) + data == ormsgpack.packb(ormsgpack.Ext(5, data))


@pytest.mark.parametrize("size", [0, 200, 70_000])
@pytest.mark.parametrize("count", [1, 20])
def test_a_list_of_messages_is_packed_as_one_among_other_values(count: int, size: int) -> None:
    messages: list[Any] = [HumanMessage("ä" * size, id=str(n)) for n in range(count)]
    messages.append(
        AIMessage("x", tool_calls=[{"name": "t", "args": {"\ud800": 2**70}, "id": "1"}])
    )
    serde = BorealisSerializer()
    for _ in range(2):
        packed = serde.dumps_typed(messages)[1]
        assert b"\x81\xa1m" + packed == serde.dumps_typed({"m": messages})[1]
        assert serde.loads_typed(("msgpack", packed)) == messages
    assert serde.loads_typed(serde.dumps_typed([*messages, 1])) == [*messages, 1]


def test_a_message_that_was_never_made_is_refused_in_a_list_too() -> None:
    unmade = HumanMessage.__new__(HumanMessage)
    for value in (unmade, [unmade], [HumanMessage("x"), unmade]):
        with pytest.raises(NotSerializableError):
            BorealisSerializer().dumps_typed(value)
