"""What was written can be read; what cannot be built is named, shown, and hides nothing else."""

import sys
import types
from typing import Any, TypedDict

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import START, StateGraph
from pydantic import BaseModel

from memory import BorealisSaver, Unreadable
from memory.checkpoints import schemas
from memory.errors import (
    CorruptedCheckpointError,
    NotSerializableError,
    TypeNotAllowedError,
    TypeNotFoundError,
)
from tests.memory import classes_of_users as u

CONFIG: Any = {"configurable": {"thread_id": "1"}}


class Loose(TypedDict):
    plan: Any
    n: int


def graph_that_makes(value: Any, saver: BorealisSaver, schema: Any = Loose) -> Any:
    builder = StateGraph(schema)
    builder.add_node("n", lambda _: value)
    builder.add_edge(START, "n")
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize(
    "value", [u.Agent.Plan(steps=["a"]), u.Agent.Mood.CALM, u.Box[int](item=1)]
)
def test_what_a_graph_wrote_it_reads_in_its_state_its_history_and_its_next_run(
    fresh_dsn: str, value: Any
) -> None:
    with BorealisSaver(fresh_dsn, deadline=15, allow=[type(value)]) as saver:
        saver.setup()
        graph = graph_that_makes({"plan": value}, saver)
        graph.invoke({"n": 1}, CONFIG)
        assert graph.get_state(CONFIG).values["plan"] == value
        assert len(list(graph.get_state_history(CONFIG))) == 3
        assert graph.invoke({"n": 2}, CONFIG)["plan"] == value


def test_a_typed_state_needs_no_word_about_its_classes(fresh_dsn: str) -> None:
    state = {
        "profile": u.Profile(name="Ada", best=u.Sub(n=1)),
        "mood": u.Agent.Mood.CALM,
        "boxes": [u.Box[int](item=1)],
    }
    with BorealisSaver(fresh_dsn, deadline=15) as saver:
        saver.setup()
        typed = graph_that_makes(state, saver, u.Typed)
        typed.invoke({"n": 1}, CONFIG)
        assert typed.get_state(CONFIG).values == {**state, "n": 1}
        config: Any = {"configurable": {"thread_id": "2"}}
        schema = graph_that_makes({"name": "x!"}, saver, u.Profile)
        schema.invoke(u.Profile(name="x"), config)
        assert schema.get_state(config).values["name"] == "x!"
    with BorealisSaver(fresh_dsn, deadline=15) as fresh:
        again = graph_that_makes(state, fresh, u.Typed)
        assert again.get_state(CONFIG).values == {**state, "n": 1}


def test_where_langgraph_does_not_name_the_classes_the_error_names_the_line(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert schemas.have_classes_named()
    monkeypatch.setattr(schemas, "SWITCH", "ANOTHER_NAME")
    assert not schemas.have_classes_named()
    monkeypatch.setattr(schemas, "WHERE", "langgraph._internal.elsewhere")
    assert not schemas.have_classes_named()
    with BorealisSaver(fresh_dsn, deadline=15) as saver:
        saver.setup()
        values: Any = {"name": u.Profile(name="x")}
        checkpoint: Any = {**empty_checkpoint(), "channel_values": values}
        config: Any = {"configurable": {"thread_id": "1", "checkpoint_ns": ""}}
        with pytest.raises(TypeNotAllowedError, match=r"pass allow=\[Profile\]"):
            saver.put(config, checkpoint, {}, {})


def test_a_refusal_names_the_channel_and_the_place_in_it(saver: BorealisSaver) -> None:
    plan = {"a": [{"b": u.Pair(1, [object()])}]}
    graph = graph_that_makes({"plan": plan}, saver)
    with pytest.raises(TypeNotAllowedError, match=r"channel 'plan' at \['a'\]\[0\]\['b'\]: .*Pair"):
        graph.invoke({"n": 1}, CONFIG)
    graph = graph_that_makes({"plan": {"a": [lambda: 1]}}, saver)
    with pytest.raises(NotSerializableError, match=r"channel 'plan' at \['a'\]\[0\]: .*function"):
        graph.invoke({"n": 1}, CONFIG)


def test_an_error_of_a_node_is_kept_though_its_class_is_not_allowed(saver: BorealisSaver) -> None:
    def fail(_: Any) -> Any:
        raise u.MyError(3)

    builder = StateGraph(Loose)
    builder.add_node("n", fail)
    builder.add_edge(START, "n")
    graph = builder.compile(checkpointer=saver)
    with pytest.raises(u.MyError):
        graph.invoke({"n": 1}, CONFIG)
    assert "code 3" in str(graph.get_state(CONFIG).tasks[0].error)


@pytest.fixture
def renamed(fresh_dsn: str) -> Any:
    """A database with a thread whose class has another name by now: its DSN and the new class."""
    module = types.ModuleType("appstate")
    sys.modules["appstate"] = module
    exec("from pydantic import BaseModel\nclass Old(BaseModel):\n    x: int", vars(module))
    with BorealisSaver(fresh_dsn, deadline=15, allow=[module.Old]) as saver:
        saver.setup()
        graph_that_makes({"plan": [module.Old(x=1)]}, saver).invoke({"n": 1}, CONFIG)
        other: Any = {"configurable": {"thread_id": "2"}}
        graph_that_makes({"plan": 5}, saver).invoke({"n": 1}, other)
    del module.Old
    yield fresh_dsn
    del sys.modules["appstate"]


class New(BaseModel):
    x: int


def test_an_alias_reads_what_a_renamed_class_wrote(renamed: str) -> None:
    for target in (New, f"{__name__}.New"):
        with BorealisSaver(renamed, aliases={"appstate.Old": target}, allow=[New]) as saver:
            found = graph_that_makes({"n": 2}, saver).get_state(CONFIG).values["plan"]
            assert found == [New(x=1)]


def test_a_class_that_is_gone_is_named_and_hides_no_other_row(renamed: str) -> None:
    with BorealisSaver(renamed, allow=[("appstate", "Old")]) as saver:
        graph = graph_that_makes({"n": 2}, saver)
        with pytest.raises(TypeNotFoundError, match=r"'plan' of .* '1': appstate\.Old .*alias"):
            graph.get_state(CONFIG)
        assert len(list(saver.list(None))) == 6
        shown = next(iter(graph.get_state_history(CONFIG))).values["plan"][0]
        assert isinstance(shown, Unreadable)
        assert (shown.type_name, shown.value) == ("appstate.Old", {"x": 1})


def test_recovery_shows_the_plain_value_and_keeps_it_when_the_thread_goes_on(renamed: str) -> None:
    with BorealisSaver(renamed, recover=True) as saver:
        graph = graph_that_makes({"n": 2}, saver)
        plan = graph.get_state(CONFIG).values["plan"]
        assert plan == [Unreadable("appstate.Old", {"x": 1}, plan[0].reason)]
        assert "appstate.Old is not on the serializer's allow-list" in plan[0].reason
        graph.update_state(CONFIG, {"plan": plan})
        graph.invoke({"n": 1}, CONFIG)
    with BorealisSaver(renamed, aliases={"appstate.Old": New}) as saver:
        assert graph_that_makes({}, saver).get_state(CONFIG).values["plan"] == [New(x=1)]


@pytest.mark.parametrize(
    "damage", ["memory_chunks set data = substring(data for 5)", "memory_checkpoints set head = ''"]
)
def test_damaged_bytes_of_one_thread_hide_no_other(fresh_dsn: str, damage: str) -> None:
    with BorealisSaver(fresh_dsn, deadline=15) as saver:
        saver.setup()
        for name in "abc":
            config: Any = {"configurable": {"thread_id": name, "checkpoint_ns": ""}}
            values = {"channel_values": {"a": name * 5000}, "channel_versions": {"a": 1}}
            metadata: Any = {"source": "loop", "step": 1, "parents": {}, "user": "u"}
            saver.put(config, {**empty_checkpoint(), **values}, metadata, {"a": 1})  # type: ignore[typeddict-item]
        with psycopg.connect(fresh_dsn, autocommit=True) as conn:
            conn.execute(
                f"update borealis.{damage} where thread_key = (select thread_key"
                " from borealis.memory_threads where thread_id = 'b')"
            )
        for found in (saver.list(None), saver.list(None, filter={"user": "u"}, limit=10)):
            values = {
                tuple_.config["configurable"]["thread_id"]: tuple_.checkpoint["channel_values"]["a"]
                for tuple_ in found
            }
            assert values.pop("a") == "a" * 5000
            assert values.pop("c") == "c" * 5000
            assert all(isinstance(value, Unreadable) for value in values.values())
        with pytest.raises(CorruptedCheckpointError):
            saver.get_tuple({"configurable": {"thread_id": "b"}})
