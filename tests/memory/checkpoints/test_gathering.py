"""Which calls of a run become one transaction, without clock, threads or database."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.checkpoints.gathering import (
    MOST_ROUNDS,
    Done,
    Entry,
    Gathering,
    Send,
    Wait,
    delta_channels,
    of_a_run,
    put_has_company,
    writes_have_company,
)
from memory.checkpoints.rows import Key

Gathered = Gathering[str]


def put(name: str, *, on: str | None = None, company: bool = True, thread: str = "t") -> Entry[str]:
    stands_on = () if on is None else (Key(thread, "", on),)
    return Entry(Key(thread, "", name), f"put {name}", True, company, stands_on)


def writes(name: str, *, company: bool = True, thread: str = "t") -> Entry[str]:
    key = Key(thread, "", name)
    return Entry(key, f"writes on {name}", False, company, (key,))


def ahead(gathering: Gathered, thread: str | None, ns: str | None) -> Any:
    """What a reader who comes now does first; None: it reads."""
    for entry in gathering.handed_in(thread, ns):
        if (step := gathering.before_reading(entry)) is not None:
            return step
    return None


def contents(step: Any) -> list[str]:
    assert isinstance(step, Send)
    return [entry.content for entry in step.batch.entries]


def test_the_input_the_writes_and_the_result_of_a_quick_step_are_one_batch() -> None:
    gathering = Gathered()
    first, second, third = put("a"), writes("a"), put("b", company=False)
    gathering.add(first)
    assert isinstance(gathering.next(first), Wait)
    gathering.add(second)
    assert gathering.next(first) == Done(None)  # LangGraph calls the next put only then
    assert first.wake.done()
    assert isinstance(gathering.next(second), Wait)
    gathering.add(third)
    sent = gathering.next(third)
    assert contents(sent) == ["put a", "writes on a", "put b"]
    assert gathering.next(second) == Wait(second.wake, None)
    assert isinstance(sent, Send)
    gathering.ended(sent.batch, [None] * 3)
    assert gathering.next(second) == gathering.next(third) == Done(None)


def test_writes_that_come_before_their_put_let_it_return_too() -> None:
    gathering = Gathered()
    early, late = writes("a"), put("a")
    gathering.add(early)
    gathering.add(late)
    assert gathering.next(late) == Done(None)
    last = put("b", company=False)
    gathering.add(last)
    assert contents(gathering.next(last)) == ["writes on a", "put a", "put b"]


def test_a_put_does_not_wait_for_writes_that_are_under_way_already() -> None:
    gathering = Gathered()
    early, late = writes("a", company=False), put("a")
    gathering.add(early)
    sent = gathering.next(early)
    assert isinstance(sent, Send)
    gathering.add(late)
    gathering.ended(sent.batch, [None])
    assert contents(gathering.next(late)) == ["put a"]


def test_the_writes_that_let_a_put_return_get_its_error() -> None:
    gathering = Gathered()
    first, second = put("a"), writes("a", company=False)
    gathering.add(first)
    gathering.add(second)
    sent = gathering.next(second)
    assert isinstance(sent, Send)
    error = ValueError("lost")
    gathering.ended(sent.batch, [error, error])
    assert gathering.next(second) == Done(error)


def test_a_slow_node_has_its_input_stored_while_it_works() -> None:
    gathering = Gathered()
    first = put("a")
    gathering.add(first)
    gathering.next(first)
    gathering.waited(first)
    assert contents(gathering.next(first)) == ["put a"]


def test_company_makes_a_call_wait_again_but_not_without_end() -> None:
    gathering = Gathered()
    first = writes("a")
    gathering.add(first)
    for number in range(MOST_ROUNDS):
        assert isinstance(gathering.next(first), Wait)
        gathering.add(writes(f"other {number}"))
        gathering.waited(first)
    assert isinstance(gathering.next(first), Wait)
    gathering.add(writes("one more"))
    gathering.waited(first)
    assert len(contents(gathering.next(first))) == MOST_ROUNDS + 2


def test_a_thread_has_one_batch_under_way_and_others_are_not_held_up() -> None:
    gathering = Gathered()
    first, second, other = put("a", company=False), put("b", company=False), put("a", thread="o")
    gathering.add(first)
    sent = gathering.next(first)
    assert isinstance(sent, Send)
    gathering.add(second)
    assert gathering.next(second) == Wait(sent.batch.ended, None)
    gathering.add(other)
    gathering.next(other)
    gathering.waited(other)
    assert contents(gathering.next(other)) == ["put a"]
    gathering.ended(sent.batch, [None])
    assert sent.batch.ended.done()
    assert contents(gathering.next(second)) == ["put b"]


def test_writes_on_a_checkpoint_under_way_wait_for_it_and_then_for_company() -> None:
    gathering = Gathered()
    first, second = put("a", company=False), writes("a")
    gathering.add(first)
    sent = gathering.next(first)
    assert isinstance(sent, Send)
    gathering.add(second)
    assert gathering.next(second) == Wait(sent.batch.ended, None)
    gathering.ended(sent.batch, [None])
    step = gathering.next(second)
    assert isinstance(step, Wait)
    assert step.seconds is not None  # the put after it comes only now


def test_a_reader_has_stored_first_what_was_put_before() -> None:
    gathering = Gathered()
    first, second = put("a"), writes("a")
    gathering.add(first)
    assert ahead(gathering, "other", "") is None
    assert ahead(gathering, "t", "a subgraph's") is None  # it has not returned yet
    gathering.add(second)
    step = ahead(gathering, "t", "a subgraph's")
    assert contents(step) == ["put a", "writes on a"]
    assert isinstance(step, Send)
    assert ahead(gathering, "t", "") == Wait(step.batch.ended, None)
    gathering.ended(step.batch, [None, None])
    assert ahead(gathering, "t", "") is None
    assert ahead(gathering, None, None) is None


def test_what_somebody_stopped_sending_is_sent_by_another_with_what_came_since() -> None:
    gathering = Gathered()
    first, second, later = put("a"), writes("a", company=False), put("b", company=False)
    gathering.add(first)
    gathering.add(second)
    sent = gathering.next(second)
    assert isinstance(sent, Send)
    gathering.add(later)
    gathering.abandoned(sent.batch)
    gathering.withdraw(second)
    # The put has returned, so it stays; the writes' call was stopped, so they may go.
    assert contents(gathering.next(later)) == ["put a", "put b"]


def test_a_call_that_was_stopped_while_it_waited_leaves_nothing_behind() -> None:
    gathering = Gathered()
    first = put("a")
    gathering.add(first)
    gathering.withdraw(first)
    assert ahead(gathering, None, None) is None
    second = put("b", company=False)
    gathering.add(second)
    assert contents(gathering.next(second)) == ["put b"]


@given(st.data())
def test_whatever_happens_in_whatever_order_nothing_is_lost_or_overtakes(
    data: st.DataObject,
) -> None:
    """A run as LangGraph makes it, on two threads: each put after the one before has returned."""
    gathering = Gathered()
    waiting: list[Entry[str]] = []
    flying: list[Send[str]] = []
    stored: dict[str, list[str]] = {"t": [], "o": []}
    next_put = {"t": 0, "o": 0}
    latest: dict[str, Entry[str]] = {}

    def look(entry: Entry[str]) -> None:
        match gathering.next(entry):
            case Done():
                waiting.remove(entry)
                if not entry.returned:
                    assert entry.content in stored[entry.key.thread_id]
            case Send() as sent:
                assert all(other.batch.thread_id != sent.batch.thread_id for other in flying)
                flying.append(sent)

    for _ in range(data.draw(st.integers(1, 60))):
        thread = data.draw(st.sampled_from(["t", "o"]))
        match data.draw(st.sampled_from(["put", "writes", "look", "time", "land", "stop"])):
            case "put" if thread not in latest or latest[thread] not in waiting:
                entry = put(str(next_put[thread]), company=data.draw(st.booleans()), thread=thread)
                next_put[thread] += 1
                latest[thread] = entry
                waiting.append(entry)
                gathering.add(entry)
            case "writes" if thread in latest:
                name = latest[thread].key.checkpoint_id or ""
                entry = writes(name, company=data.draw(st.booleans()), thread=thread)
                waiting.append(entry)
                gathering.add(entry)
            case "look" if waiting:
                look(data.draw(st.sampled_from(waiting)))
            case "time" if waiting:
                gathering.waited(data.draw(st.sampled_from(waiting)))
            case "land" if flying:
                batch = flying.pop(data.draw(st.integers(0, len(flying) - 1))).batch
                stored[batch.thread_id] += [entry.content for entry in batch.entries]
                gathering.ended(batch, [None] * len(batch.entries))
            case "stop" if flying:
                gathering.abandoned(flying.pop(data.draw(st.integers(0, len(flying) - 1))).batch)
    while waiting or flying:
        for sent in [*flying]:
            flying.remove(sent)
            stored[sent.batch.thread_id] += [entry.content for entry in sent.batch.entries]
            gathering.ended(sent.batch, [None] * len(sent.batch.entries))
        for entry in [*waiting]:
            gathering.waited(entry)
            look(entry)
    for thread, count in next_put.items():
        puts = [content for content in stored[thread] if content.startswith("put")]
        assert puts == [f"put {number}" for number in range(count)]
    assert ahead(gathering, None, None) is None


RUN: Any = {"configurable": {"thread_id": "t", "__pregel_runtime": object()}}


@pytest.mark.parametrize(
    ("durability", "source", "changed", "expected"),
    [
        ("async", "input", ["__start__"], True),
        ("async", "loop", ["messages", "branch:to:agent"], True),
        ("async", "loop", ["messages"], False),
        ("sync", "input", ["__start__"], False),
        ("sync", "loop", ["branch:to:agent"], False),
        ("exit", "loop", ["branch:to:agent"], False),
    ],
)
def test_a_put_waits_only_where_langgraph_does_not_wait_for_it(
    durability: str, source: Any, changed: list[str], expected: bool
) -> None:
    config: Any = {"configurable": {**RUN["configurable"], "__pregel_durability": durability}}
    checkpoint: Any = {"updated_channels": changed}
    assert put_has_company(config, checkpoint, {"source": source}) is expected


def test_writes_wait_for_the_put_after_them_unless_none_comes() -> None:
    assert writes_have_company(RUN, ["messages", "branch:to:agent"])
    assert not writes_have_company(RUN, ["__interrupt__"])
    assert not writes_have_company(RUN, ["messages", "__error__"])
    last: Any = {"configurable": {"__pregel_durability": "exit"}}
    assert not writes_have_company(last, ["messages"])


def test_only_calls_of_a_run_with_threads_enough_wait_for_each_other() -> None:
    assert of_a_run(RUN)
    assert not of_a_run({"configurable": {"thread_id": "t"}})
    assert not of_a_run({**RUN, "max_concurrency": 1})


def test_delta_channels_are_known_by_their_counters() -> None:
    metadata: Any = {"counters_since_delta_snapshot": {"log": (1, 2)}}
    assert delta_channels(metadata) == {"log"}
    assert delta_channels({"source": "input"}) == frozenset()
