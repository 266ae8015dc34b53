"""What BorealisSaver promises beyond the conformance suite."""

import dataclasses
import decimal
import enum
import math
import uuid
from collections import deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Annotated, Any, TypedDict
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, Send, interrupt
from psycopg import sql

from memory import BorealisSaver, Unreadable
from memory.encoding.encryption import AesGcm
from memory.errors import (
    ConfigurationError,
    CorruptedCheckpointError,
    SetupRequiredError,
    TypeNotAllowedError,
)
from tests.examples import examples


def put_values(
    saver: BorealisSaver, values: dict[str, Any], config: Any = None, **metadata: Any
) -> Any:
    config = config or {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    versions = dict.fromkeys(values, saver.get_next_version(None, None))
    checkpoint: Any = {
        **empty_checkpoint(),
        "id": str(uuid6(clock_seq=0)),
        "channel_values": values,
        "channel_versions": versions,
    }
    return saver.put(config, checkpoint, {"step": 0, **metadata}, versions)  # type: ignore[typeddict-item]


def values_of(saver: BorealisSaver, config: Any) -> dict[str, Any]:
    found = saver.get_tuple(config)
    assert found is not None
    return found.checkpoint["channel_values"]


def same(left: Any, right: Any) -> bool:
    """Equal, of the same type, at every depth; NaN is itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (left == right and math.copysign(1, left) == math.copysign(1, right)) or (
            math.isnan(left) and math.isnan(right)
        )
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    return bool(left == right)


text = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | text
    | st.binary(max_size=12)
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.just(ZoneInfo("Europe/Berlin")))
    | st.timedeltas()
    | st.sets(st.integers(0, 5), max_size=3)
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(text | st.integers(-9, 9), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(value=anything, metadata=st.dictionaries(text, scalars, max_size=3), name=text)
def test_every_value_comes_back_exactly(
    saver: BorealisSaver, value: Any, metadata: dict[str, Any], name: str
) -> None:
    thread = {"configurable": {"thread_id": name + str(uuid.uuid4()), "checkpoint_ns": name}}
    config = put_values(saver, {"list": [value] * 3, name or "v": value}, thread, extra=metadata)
    saver.put_writes(config, [(name, value)], name, name)
    found = saver.get_tuple(thread)  # type: ignore[arg-type]
    assert found is not None
    assert same(found.checkpoint["channel_values"][name or "v"], value)
    if name != "list":
        assert same(found.checkpoint["channel_values"]["list"], [value] * 3)
    assert same(found.metadata["extra"], metadata)  # type: ignore[typeddict-item]
    assert found.pending_writes is not None
    assert same(found.pending_writes[0], (name, name, value))
    assert found.config["configurable"]["thread_id"] == thread["configurable"]["thread_id"]


def test_the_values_agents_hold_come_back_exactly(saver: BorealisSaver) -> None:
    values = {
        "messages": [
            HumanMessage("a\0b\ud800"),
            AIMessage("x", id="1"),
            ToolMessage("t", tool_call_id="1"),
        ],
        "times": [time(1, 2, 3, tzinfo=timezone(timedelta(hours=2))), date(2026, 1, 1)],
        "numbers": [2**200, -(2**100), float("inf"), decimal.Decimal("1.10")],
        "kept": (deque([1]), frozenset({2}), b"\0", bytearray(b"x")),
        "send": Send("node", {"a": (1, 2)}),
        "none": None,
        "long": "ö" * 100_000,
    }
    config = put_values(saver, values)
    assert values_of(saver, config) == values


class Colour(enum.Enum):
    BLUE = "blue"


@dataclasses.dataclass
class Profile:
    name: str
    colour: Colour


def test_a_class_must_be_allowed_before_it_is_written_or_read(
    saver: BorealisSaver, fresh_dsn: str
) -> None:
    value = Profile("Ada", Colour.BLUE)
    with pytest.raises(TypeNotAllowedError, match=r"Profile is not on .* allow=\[Profile\]"):
        put_values(saver, {"profile": value})
    assert saver.get_tuple({"configurable": {"thread_id": "t"}}) is None
    with BorealisSaver(fresh_dsn, allow=[Profile, Colour]) as trusting:
        config = put_values(trusting, {"profile": value})
        assert values_of(trusting, config) == {"profile": value}
    with pytest.raises(TypeNotAllowedError, match="Colour"):
        saver.get_tuple(config)


@pytest.mark.parametrize(
    "poison",
    ["pickle", "unknown class", "truncated value", "truncated head", "altered chunk", "lost chunk"],
)
def test_a_poisoned_checkpoint_is_refused_and_other_threads_are_unaffected(
    saver: BorealisSaver, fresh_dsn: str, poison: str
) -> None:
    import os
    import pickle

    from memory.encoding.codec import Codec
    from memory.encoding.serde import BorealisSerializer

    codec = Codec(BorealisSerializer())
    healthy: Any = {"configurable": {"thread_id": "healthy", "checkpoint_ns": ""}}
    put_values(saver, {"v": "x" * 5000}, healthy)
    config = put_values(saver, {"v": os.urandom(5000).hex()})

    class Evil:
        def __reduce__(self) -> Any:
            return os._exit, (1,)

    def head(entries: list[Any]) -> bytes:
        rest = {"v": 4, "ts": "", "channel_versions": {"v": 1}, "versions_seen": {}}
        return codec.seal([list(codec.serde.dumps_typed(rest)), None, entries])

    change = {
        "pickle": ("checkpoints", "head", head([["v", "pickle", b"", 0, pickle.dumps(Evil())]])),
        "unknown class": (
            "checkpoints",
            "head",
            head([["v", "msgpack", b"", 0, b"\xc7\x15\x00\x93\xa2os\xa6system\xa9echo evil"]]),
        ),
        "truncated value": ("checkpoints", "head", head([["v", "msgpack", b"", 0, b"\x93\x01"]])),
        "truncated head": ("checkpoints", "head", head([])[:-3]),
        "altered chunk": ("chunks", "data", codec.seal_chunk(b"something else")),
        "lost chunk": ("chunks", "address", b"\0" * 16),
    }
    table, column, data = change[poison]
    with psycopg.connect(fresh_dsn) as conn:
        conn.execute(
            sql.SQL(
                "update borealis.{} set {} = %b where thread_key ="
                " (select thread_key from borealis.memory_threads where thread_id = 't')"
            ).format(sql.Identifier(f"memory_{table}"), sql.Identifier(column)),
            (data,),
        )
    expected = (
        TypeNotAllowedError if poison in ("pickle", "unknown class") else CorruptedCheckpointError
    )
    with pytest.raises(expected):
        saver.get_tuple(config)
    shown = [found.checkpoint["channel_values"]["v"] for found in saver.list(config)]
    assert all(isinstance(value, Unreadable) for value in shown)
    assert len(list(saver.list(None))) == 1 + len(shown)
    assert values_of(saver, healthy) == {"v": "x" * 5000}


def test_a_growing_list_costs_what_was_added(saver: BorealisSaver, fresh_dsn: str) -> None:
    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda s: {"messages": [AIMessage(str(uuid.uuid4()) * 3)]})
    builder.add_edge(START, "agent")
    graph = builder.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}
    sizes = []
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        for _ in range(4):
            for _ in range(12):
                graph.invoke({"messages": [HumanMessage(str(uuid.uuid4()) * 3)]}, config)
            row = conn.execute("select sum(length(data)) from borealis.memory_chunks").fetchone()
            assert row is not None
            sizes.append(int(row[0]))
    assert sizes[3] - sizes[2] < 2 * (sizes[1] - sizes[0])
    assert len(graph.get_state(config).values["messages"]) == 96
    assert len(list(saver.list(config))) == 144


def test_an_unchanged_value_is_stored_once(saver: BorealisSaver, fresh_dsn: str) -> None:
    document = "".join(str(uuid.uuid4()) for _ in range(500))
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    for step in range(50):
        checkpoint: Any = {
            **empty_checkpoint(),
            "id": str(uuid6(clock_seq=step)),
            "channel_values": {"document": document, "n": step},
            "channel_versions": {"document": 1, "n": step + 1},
        }
        new = {"n": step + 1} if step else {"document": 1, "n": 1}
        config = saver.put(config, checkpoint, {"step": step}, new)  # type: ignore[arg-type]
    with psycopg.connect(fresh_dsn) as conn:
        assert conn.execute("select count(*) from borealis.memory_chunks").fetchone() == (1,)
    found = list(saver.list({"configurable": {"thread_id": "t"}}))
    assert [t.checkpoint["channel_values"]["n"] for t in found] == list(range(49, -1, -1))
    assert all(t.checkpoint["channel_values"]["document"] == document for t in found)


def test_a_put_survives_that_another_process_pruned_its_parent(
    saver: BorealisSaver, fresh_dsn: str
) -> None:
    value = "".join(str(uuid.uuid4()) for _ in range(100))
    first = put_values(saver, {"v": value})
    with BorealisSaver(fresh_dsn) as other:
        other.delete_thread("t")
    checkpoint: Any = {
        **empty_checkpoint(),
        "channel_values": {"v": value},
        "channel_versions": {"v": 1},
    }
    second = saver.put(first, checkpoint, {}, {})
    assert values_of(saver, second) == {"v": value}


def test_filters_find_what_json_cannot_hold(saver: BorealisSaver) -> None:
    put_values(saver, {}, tag="plain", n=1)
    put_values(saver, {}, tag="a\0b", n=2)
    put_values(saver, {}, tag="plain", odd=float("nan"), n=3)

    def steps(filter: dict[str, Any]) -> list[int]:
        found = saver.list({"configurable": {"thread_id": "t"}}, filter=filter)
        return [t.metadata["n"] for t in found]  # type: ignore[typeddict-item]

    assert steps({"tag": "plain"}) == [3, 1]
    assert steps({"tag": "a\0b"}) == [2]
    assert steps({"n": 3}) == [3]
    assert steps({"n": 3.0, "tag": "plain"}) == [3]
    assert steps({"missing": 1}) == []


@pytest.mark.parametrize("bad", [["step"], "step"])
def test_a_filter_that_is_no_dict_is_refused(saver: BorealisSaver, bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="a filter is a dict"):
        list(saver.list(None, filter=bad))


class DeltaState(TypedDict):
    log: Annotated[list[str], DeltaChannel(lambda state, writes: [*state, *writes], list)]


def test_delta_channels_are_rebuilt_also_after_pruning_and_copying(saver: BorealisSaver) -> None:
    builder = StateGraph(DeltaState)
    builder.add_node("one", lambda s: {"log": f"one {len(s['log'])}"})
    builder.add_node("two", lambda s: {"log": f"two {len(s['log'])}"})
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    config: Any = {"configurable": {"thread_id": "t"}}

    def run(checkpointer: Any) -> tuple[Any, list[Any]]:
        graph = builder.compile(checkpointer=checkpointer)
        for number in range(6):
            graph.invoke({"log": f"in {number}"}, config)
        return graph, [state.values.get("log") for state in graph.get_state_history(config)]

    graph, ours = run(saver)
    _, theirs = run(InMemorySaver())
    assert ours == theirs
    saver.copy_thread("t", "copy")
    saver.prune(["t"])
    assert graph.get_state(config).values["log"] == ours[0]
    copy: Any = {"configurable": {"thread_id": "copy"}}
    assert [s.values.get("log") for s in graph.get_state_history(copy)] == ours


def test_pruning_keeps_what_is_asked_and_collects_the_rest(
    saver: BorealisSaver, fresh_dsn: str
) -> None:
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    for step in range(20):
        value = "".join(str(uuid.uuid4()) for _ in range(100))
        config = put_values(saver, {"v": value}, config, step=step)
        saver.put_writes(config, [("v", 1)], "task")
    saver.prune(["t"], keep=3)
    found = list(saver.list({"configurable": {"thread_id": "t"}}))
    assert [t.metadata["step"] for t in found] == [19, 18, 17]
    assert found[-1].parent_config is None
    assert values_of(saver, config) == {"v": value}
    with psycopg.connect(fresh_dsn) as conn:
        assert conn.execute("select count(*) from borealis.memory_chunks").fetchone() == (3,)
        assert conn.execute("select count(*) from borealis.memory_writes").fetchone() == (3,)
    saver.delete_for_runs(["no such run"])
    with pytest.raises(ConfigurationError, match="unknown strategy"):
        saver.prune(["t"], strategy="some")
    with pytest.raises(ConfigurationError, match="not one string"):
        saver.prune("t")
    saver.prune(["t"], strategy="delete")
    with psycopg.connect(fresh_dsn) as conn:
        for table in ("threads", "checkpoints", "chunks", "writes"):
            name = sql.Identifier("borealis", f"memory_{table}")
            assert conn.execute(sql.SQL("select count(*) from {}").format(name)).fetchone() == (0,)


def test_an_expired_thread_is_gone_and_a_sweep_removes_it(fresh_dsn: str) -> None:
    with BorealisSaver(fresh_dsn, ttl=timedelta(hours=1)) as saver:
        saver.setup()
        config = put_values(saver, {"v": "x" * 5000})
        assert saver.get_tuple(config) is not None
        assert saver.sweep() == 0
        with psycopg.connect(fresh_dsn) as conn:
            conn.execute("update borealis.memory_threads set expires_at = now() - interval '1 s'")
        assert saver.get_tuple(config) is None
        assert list(saver.list(None)) == []
        fresh = put_values(saver, {"v": 1})
        assert len(list(saver.list({"configurable": {"thread_id": "t"}}))) == 1
        saver.sweep()
        assert values_of(saver, fresh) == {"v": 1}
        with psycopg.connect(fresh_dsn) as conn:
            assert conn.execute("select count(*) from borealis.memory_threads").fetchone() == (1,)
            assert conn.execute("select count(*) from borealis.memory_chunks").fetchone() == (0,)
    with pytest.raises(ConfigurationError, match="ttl"):
        BorealisSaver(fresh_dsn, ttl=0)


def test_an_interrupted_graph_goes_on_in_another_saver(fresh_dsn: str) -> None:
    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(interrupt("your name?"))]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    config: Any = {"configurable": {"thread_id": "t"}}
    with BorealisSaver(fresh_dsn) as saver:
        saver.setup()
        builder.compile(checkpointer=saver).invoke({"messages": []}, config)
    with BorealisSaver(fresh_dsn) as saver:
        result = builder.compile(checkpointer=saver).invoke(Command(resume="Ada"), config)
    assert result["messages"][-1].content == "Ada"


def test_encrypted_threads_hide_everything_but_ids_and_need_their_key(fresh_dsn: str) -> None:
    key = b"k" * 32
    secret = "the eagle has landed, " * 200
    with BorealisSaver(fresh_dsn, serde=EncryptedSerializer(AesGcm(key))) as saver:
        saver.setup()
        config = put_values(saver, {"secret channel": secret, "l": [secret]}, note="hush hush")
        saver.put_writes(config, [("secret channel", secret)], "task")
        assert values_of(saver, config)["secret channel"] == secret
        assert [t.metadata["note"] for t in saver.list(None, filter={"note": "hush hush"})] == [  # type: ignore[typeddict-item]
            "hush hush"
        ]
    with psycopg.connect(fresh_dsn) as conn:
        for table in ("checkpoints", "chunks", "writes", "secrets"):
            rows = conn.execute(
                sql.SQL("select t::text from {} t").format(
                    sql.Identifier("borealis", f"memory_{table}")
                )
            ).fetchall()
            assert rows
            plain = " ".join(row[0] for row in rows)
            for word in ("eagle", "secret", "hush"):
                assert word not in plain
                assert word.encode().hex() not in plain
    with (
        BorealisSaver(fresh_dsn, serde=EncryptedSerializer(AesGcm(b"x" * 32))) as thief,
        pytest.raises(ConfigurationError, match="encryption key"),
    ):
        thief.get_tuple(config)
    with BorealisSaver(fresh_dsn) as plain_saver, pytest.raises(CorruptedCheckpointError):
        plain_saver.get_tuple(config)


def test_missing_tables_say_what_to_do(fresh_dsn: str) -> None:
    with BorealisSaver(fresh_dsn) as saver:
        with pytest.raises(SetupRequiredError, match=r"setup\(\)"):
            saver.get_tuple({"configurable": {"thread_id": "t"}})
        with pytest.raises(ConfigurationError, match="names no thread"):
            saver.get_tuple({"configurable": {}})


def test_listing_pages_through_a_long_thread_in_order(saver: BorealisSaver) -> None:
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    ids = []
    for step in range(230):
        config = put_values(saver, {"n": step}, config, step=step)
        ids.append(config["configurable"]["checkpoint_id"])
    thread: Any = {"configurable": {"thread_id": "t"}}

    def listed(**kwargs: Any) -> list[str]:
        found: list[CheckpointTuple] = list(saver.list(thread, **kwargs))
        return [t.config["configurable"]["checkpoint_id"] for t in found]

    assert listed() == ids[::-1]
    assert listed(limit=150) == ids[::-1][:150]
    before: Any = {"configurable": {"thread_id": "t", "checkpoint_id": ids[100]}}
    assert listed(before=before) == ids[:100][::-1]
    assert listed(limit=0) == []
    assert [t.metadata["step"] for t in saver.list(None, filter={"step": 7})] == [7]


def test_threads_with_ids_that_are_not_uuids_work(saver: BorealisSaver) -> None:
    for name in ("b", "a", "c"):
        checkpoint: Any = {**empty_checkpoint(), "id": name}
        saver.put({"configurable": {"thread_id": 7, "checkpoint_ns": ""}}, checkpoint, {}, {})
    found = saver.list({"configurable": {"thread_id": "7"}})
    assert [t.checkpoint["id"] for t in found] == ["c", "b", "a"]


def test_dates_before_and_after_a_fold_keep_their_zone(saver: BorealisSaver) -> None:
    zone = ZoneInfo("Europe/Berlin")
    moments = [datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=fold) for fold in (0, 1)]
    found = values_of(saver, put_values(saver, {"v": moments}))["v"]
    assert [(m.utcoffset(), m.fold, m.tzinfo.key) for m in found] == [
        (m.utcoffset(), m.fold, "Europe/Berlin") for m in moments
    ]
