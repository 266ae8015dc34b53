"""Which calls of a run become one transaction, without clock, threads or database."""

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.checkpoints.gathering import (
    MOST_CHECKPOINTS,
    MOST_ROUNDS,
    REMEMBERED_DEPARTURES,
    Batch,
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


def test_writes_return_when_the_put_that_follows_them_waits_in_the_same_batch() -> None:
    gathering = Gathered()
    first, second, third, fourth = put("a"), writes("a"), put("b", on="a"), writes("b")
    for entry in (first, second):
        gathering.add(entry)
    assert isinstance(gathering.next(second), Wait)
    gathering.add(third)
    assert second.wake.done()
    assert gathering.next(second) == Done(None)
    assert isinstance(gathering.next(third), Wait)
    gathering.add(fourth)
    last = put("c", on="b", company=False)
    gathering.add(last)
    assert gathering.next(third) == gathering.next(fourth) == Done(None)
    sent = gathering.next(last)
    assert contents(sent) == ["put a", "writes on a", "put b", "writes on b", "put c"]
    assert isinstance(sent, Send)
    gathering.ended(sent.batch, [None] * 5)
    assert gathering.next(last) == Done(None)


def run_of_quick_steps(steps: int, *, answered: bool) -> tuple[Gathered, list[Batch[str]]]:
    """A chain of nodes without work, until its end or until no call of it goes on; what it sent."""
    gathering, sent = Gathered(), []
    calls = [put("0")]
    for number in range(1, steps):
        # The first ones are sent, as by a reader, and what follows finds them under way.
        calls.append(writes(f"{number - 1}", company=number > 1))
        calls.append(put(f"{number}", on=f"{number - 1}"))
    calls.append(writes(f"{steps - 1}", company=False))
    waiting: list[Entry[str]] = []
    going_on = True
    while going_on:
        going_on = False
        if calls and not (calls[0].is_put and any(entry.is_put for entry in waiting)):
            waiting.append(calls.pop(0))
            gathering.add(waiting[-1])
            going_on = True
        for entry in [*waiting]:
            match gathering.next(entry):
                case Done():
                    waiting.remove(entry)
                    going_on = True
                case Send(batch):
                    sent.append(batch)
                    if answered:
                        gathering.ended(batch, [None] * len(batch.entries))
                        going_on = True
    return gathering, sent


def puts_in(batch: Batch[str]) -> int:
    return sum(entry.is_put for entry in batch.entries)


def test_a_chain_of_quick_steps_is_stored_as_it_goes() -> None:
    gathering, sent = run_of_quick_steps(50, answered=True)
    assert max(map(puts_in, sent)) == MOST_CHECKPOINTS
    assert sum(map(puts_in, sent)) == 50
    assert gathering.handed_in(None, None) == []


def test_a_chain_of_quick_steps_does_not_run_ahead_of_a_database_that_is_slow() -> None:
    gathering, (sent,) = run_of_quick_steps(50, answered=False)
    assert puts_in(sent) == 1
    handed_in = gathering.handed_in("t", None)
    assert sum(entry.is_put for entry in handed_in) == 1 + MOST_CHECKPOINTS


@pytest.mark.parametrize("kind", ["too late", "of others", "an interrupt", "another namespace"])
def test_writes_wait_where_no_put_after_them_answers_for_them(kind: str) -> None:
    gathering = Gathered()
    first, second = writes("a", company=kind != "an interrupt"), put("b", on="a")
    if kind == "of others":
        second = put("b", on="c")
    if kind == "another namespace":
        second = Entry(Key("t", "n", "b"), "put b", True, True, (Key("t", "n", "z"), first.key))
    for entry in (second, first) if kind == "too late" else (first, second):
        gathering.add(entry)
    assert not first.returned
    assert not first.wake.done()


def test_writes_that_come_before_their_put_let_it_return_too() -> None:
    gathering = Gathered()
    early, late = writes("a"), put("a")
    gathering.add(early)
    gathering.add(late)
    assert gathering.next(late) == Done(None)
    last = put("b", company=False)
    gathering.add(last)
    assert contents(gathering.next(last)) == ["writes on a", "put a", "put b"]


@pytest.mark.parametrize("writes_first", [True, False])
def test_a_put_that_the_run_waits_for_returns_when_it_is_stored(writes_first: bool) -> None:
    """As with `durability="sync"`: what comes after it is of another transaction."""
    gathering = Gathered()
    stored, beside = put("a", company=False), writes("a")
    for entry in (beside, stored) if writes_first else (stored, beside):
        gathering.add(entry)
    sent = gathering.next(stored)
    assert sorted(contents(sent)) == ["put a", "writes on a"]
    assert isinstance(sent, Send)
    assert gathering.next(beside) == Wait(beside.wake, None)
    gathering.ended(sent.batch, [None, None])
    assert gathering.next(stored) == gathering.next(beside) == Done(None)


def test_a_put_does_not_wait_for_writes_that_are_under_way_already() -> None:
    gathering = Gathered()
    early, late = writes("a", company=False), put("a")
    gathering.add(early)
    sent = gathering.next(early)
    assert isinstance(sent, Send)
    gathering.add(late)
    gathering.ended(sent.batch, [None])
    assert contents(gathering.next(late)) == ["put a"]


def test_a_put_does_not_wait_for_writes_that_a_reader_has_stored_before_it() -> None:
    gathering = Gathered()
    gathering.add(writes("a"))
    sent = ahead(gathering, "t", "")
    assert isinstance(sent, Send)
    gathering.ended(sent.batch, [None])
    late = put("a")
    gathering.add(late)
    assert contents(gathering.next(late)) == ["put a"]


@pytest.mark.parametrize("stored", [True, False])
def test_writes_do_not_wait_for_a_put_that_has_gone_before_them(stored: bool) -> None:
    """As where a reader has stored the checkpoint that both stand on."""
    gathering = Gathered()
    following, late = put("b", on="a", company=False), writes("a")
    gathering.add(following)
    sent = gathering.next(following)
    assert isinstance(sent, Send)
    if stored:
        gathering.ended(sent.batch, [None])
        gathering.add(late)
    else:
        gathering.add(late)
        assert gathering.next(late) == Wait(sent.batch.ended, None)
        gathering.ended(sent.batch, [None])
    assert contents(gathering.next(late)) == ["writes on a"]


def test_a_put_of_a_subgraph_that_has_gone_is_not_what_the_writes_it_stands_on_wait_for() -> None:
    gathering = Gathered()
    stands_on = (Key("t", "sub", "x"), Key("t", "", "a"))
    of_subgraph = Entry(Key("t", "sub", "y"), "put y", True, False, stands_on)
    gathering.add(of_subgraph)
    sent = gathering.next(of_subgraph)
    assert isinstance(sent, Send)
    gathering.ended(sent.batch, [None])
    waiting = writes("a")
    gathering.add(waiting)
    step = gathering.next(waiting)
    assert isinstance(step, Wait)
    assert step.seconds is not None


def test_what_departed_is_not_remembered_without_end() -> None:
    gathering = Gathered()
    for number in range(REMEMBERED_DEPARTURES + 10):
        entry = writes(f"{number}", company=False)
        gathering.add(entry)
        sent = gathering.next(entry)
        assert isinstance(sent, Send)
        gathering.ended(sent.batch, [None])
    assert len(gathering._departed) == REMEMBERED_DEPARTURES


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


def test_what_stands_on_a_checkpoint_that_was_not_stored_is_not_stored_either() -> None:
    gathering = Gathered()
    first, second = put("a"), writes("a", company=False)
    gathering.add(first)
    gathering.add(second)
    sent = gathering.next(second)
    assert isinstance(sent, Send)
    meanwhile, of_it = put("b", on="a"), writes("b")
    gathering.add(meanwhile)
    gathering.add(of_it)
    assert gathering.next(meanwhile) == Done(None)
    other = writes("z", company=False)
    gathering.add(other)
    error = ValueError("lost")
    gathering.ended(sent.batch, [error, error])
    later = put("c", on="b", company=False)
    gathering.add(later)
    for entry in (of_it, meanwhile, later):
        done = gathering.next(entry)
        assert isinstance(done, Done)
        assert isinstance(done.error, ValueError)
        assert done.error.args == error.args
    assert contents(gathering.next(other)) == ["writes on z"]


def test_a_checkpoint_that_is_there_after_all_is_stood_on() -> None:
    gathering = Gathered()
    first = put("a", company=False)
    gathering.add(first)
    sent = gathering.next(first)
    assert isinstance(sent, Send)
    gathering.ended(sent.batch, [ValueError("the answer was lost")])
    assert gathering.loss(first.key) is not None
    gathering.found(first.key)
    second = put("b", on="a", company=False)
    gathering.add(second)
    assert contents(gathering.next(second)) == ["put b"]


def test_a_reader_waits_for_what_was_there_when_it_came_and_for_nothing_since() -> None:
    gathering = Gathered()
    first = writes("a", company=False)
    gathering.add(first)
    (seen,) = gathering.handed_in(None, None)
    sent = gathering.before_reading(seen)
    assert isinstance(sent, Send)
    for number in range(3):
        gathering.add(writes(f"since {number}", thread=f"{number}"))
        gathering.add(writes(f"since {number}"))
        assert gathering.before_reading(seen) == Wait(sent.batch.ended, None)
    gathering.ended(sent.batch, [None])
    assert gathering.before_reading(seen) is None


def test_what_a_stopped_call_leaves_is_sent_by_it_or_failed_and_never_waits_for_nobody() -> None:
    for given_up in (False, True):
        gathering = Gathered()
        first, second = put("a"), writes("a")
        gathering.add(first)
        gathering.add(second)
        assert gathering.next(first) == Done(None)
        assert gathering.rest("t") is None  # its writes' call will send it
        gathering.withdraw(first)
        gathering.withdraw(second)
        error = ValueError("stopped")
        if given_up:
            gathering.give_up("t", error)
            assert str(gathering.loss(first.key)) == str(error)
        else:
            rest = gathering.rest("t")
            assert contents(rest) == ["put a"]
            assert isinstance(rest, Send)
            gathering.ended(rest.batch, [None])
            assert gathering.loss(first.key) is None
        assert gathering.handed_in(None, None) == []


def test_a_reader_that_is_stopped_leaves_its_batch_to_its_calls_or_to_whoever_comes_last() -> None:
    gathering = Gathered()
    first, second = put("a"), writes("a")
    gathering.add(first)
    gathering.add(second)
    (seen, _) = gathering.handed_in("t", "")
    sent = gathering.before_reading(seen)
    assert isinstance(sent, Send)
    gathering.withdraw(second)  # while the reader sends it
    assert gathering.rest("t") is None
    gathering.abandoned(sent.batch)
    assert sent.batch.ended.done() is False
    assert contents(gathering.rest("t")) == ["put a"]


def test_a_call_whose_time_has_passed_fails_and_another_sends_the_rest() -> None:
    gathering = Gathered()
    first, second, third = put("a"), writes("a", company=False), writes("a")
    for entry in (first, second, third):
        gathering.add(entry)
    sent = gathering.next(second)
    assert isinstance(sent, Send)
    late = ValueError("no time is left")
    gathering.late(sent.batch, [], second, late)
    assert gathering.next(second) == Done(late)
    again = gathering.next(third)
    assert contents(again) == ["put a", "writes on a"]
    assert isinstance(again, Send)
    gathering.late(again.batch, [None], third, late)  # one by one: the put was stored
    assert gathering.next(third) == Done(late)
    assert gathering.loss(first.key) is None
    assert gathering.handed_in(None, None) == []


def test_a_reader_whose_time_has_passed_leaves_what_it_sends_to_the_calls_that_brought_it() -> None:
    gathering = Gathered()
    first, second = put("a", company=False), writes("z", company=False)
    gathering.add(first)
    gathering.add(second)
    sent = gathering.before_reading(first)
    assert isinstance(sent, Send)
    gathering.late(sent.batch, [], None, ValueError("no time is left"))
    assert contents(gathering.next(second)) == ["put a", "writes on z"]


def test_what_is_kept_of_a_loss_holds_nothing_of_what_was_to_be_stored() -> None:
    class Payload:
        pass

    gathering = Gathered()
    entry = put("a", company=False)
    gathering.add(entry)
    sent = gathering.next(entry)
    assert isinstance(sent, Send)

    def refused() -> Exception:
        payload = Payload()
        held.append(weakref.ref(payload))
        try:
            raise ValueError("refused") from KeyError("by its cause")
        except ValueError as error:
            return error

    held: list[Any] = []
    gathering.ended(sent.batch, [refused()])
    for _ in range(3):
        error = gathering.loss(entry.key)
        assert error is not None
        assert error.args == ("refused",)
        assert isinstance(error.__cause__, KeyError)
        payload = Payload()
        held.append(weakref.ref(payload))
        with pytest.raises(ValueError, match="refused"):
            raise error
    del sent, entry, error, payload
    gc.collect()
    assert [each() for each in held] == [None] * 4


class World:
    """Runs as LangGraph makes them on two threads, readers, and a database that may refuse.

    flying: what is being sent, with the call that sends it; None: a reader, or who left last.
    """

    def __init__(self, draw: Any) -> None:
        self.draw, self.gathering = draw, Gathered()
        self.waiting: list[Entry[str]] = []
        self.flying: list[tuple[Send[str], Entry[str] | None]] = []
        self.stored: dict[str, list[Entry[str]]] = {"t": [], "o": []}
        self.latest: dict[str, Entry[str]] = {}
        self.brought: list[Entry[str]] = []
        self.stopped: set[Entry[str] | None] = set()
        self.failed: set[Entry[str] | None] = set()

    def bring(self, entry: Entry[str]) -> None:
        self.brought.append(entry)
        self.waiting.append(entry)
        self.gathering.add(entry)

    def put(self, thread: str) -> None:
        """A run's next checkpoint; after an error, a new run goes on from what is there."""
        before = self.latest.get(thread)
        if before in self.waiting:
            return
        if before in self.failed or before in self.stopped:
            there = [entry for entry in self.stored[thread] if entry.is_put]
            before = there[-1] if there else None
        on = None if before is None else before.key.checkpoint_id
        entry = put(str(len(self.brought)), on=on, company=self.draw(st.booleans()), thread=thread)
        self.latest[thread] = entry
        self.bring(entry)

    def writes(self, thread: str) -> None:
        if thread in self.latest:
            name = self.latest[thread].key.checkpoint_id or ""
            self.bring(writes(name, company=self.draw(st.booleans()), thread=thread))

    def send(self, step: Any, sender: Entry[str] | None) -> None:
        assert isinstance(step, Send)
        thread = step.batch.thread_id
        assert all(other.batch.thread_id != thread for other, _ in self.flying)
        self.flying.append((step, sender))

    def look(self, entry: Entry[str]) -> None:
        match self.gathering.next(entry):
            case Done(error):
                if not entry.returned:
                    assert (entry in self.stored[entry.key.thread_id]) == (error is None)
                if error is not None:  # a put that had returned is told by the writes on it
                    self.failed |= {e for e in self.brought if e.error is error}
                self.leave(entry)
            case Send() as sent:
                self.send(sent, entry)

    def read(self, thread: str) -> None:
        for entry in self.gathering.handed_in(thread, None):
            step = self.gathering.before_reading(entry)
            if isinstance(step, Send):
                self.send(step, None)

    def leave(self, entry: Entry[str] | None, thread: str = "") -> None:
        if entry is not None:
            thread = entry.key.thread_id
            self.waiting.remove(entry)
            self.gathering.withdraw(entry)
        if self.draw(st.booleans()):
            if (rest := self.gathering.rest(thread)) is not None:
                self.send(rest, None)
        else:
            self.gathering.give_up(thread, ValueError("stopped for good"))

    def stop(self, entry: Entry[str]) -> None:
        """The call is cancelled, wherever it is."""
        self.stopped.add(entry)
        for sent, sender in [*self.flying]:
            if sender is entry:
                self.flying.remove((sent, sender))
                self.gathering.abandoned(sent.batch)
        self.leave(entry)

    def land(self, number: int, *, well: bool = False) -> None:
        """The database answers: each call by itself may be refused, and nothing after a put."""
        sent, sender = self.flying.pop(number)
        errors: list[Exception | None] = []
        lost: Exception | None = None
        for entry in sent.batch.entries:
            refused = lost or (
                None if well or self.draw(st.integers(0, 3)) else ValueError(entry.content)
            )
            lost = refused if entry.is_put else lost
            errors.append(refused)
            if refused is None:
                self.stored[sent.batch.thread_id].append(entry)
        self.gathering.ended(sent.batch, errors)
        if sender is None:
            self.leave(None, sent.batch.thread_id)

    def late(self, number: int) -> None:
        """The time of the call that sends has passed, after the database took some one by one."""
        sent, sender = self.flying.pop(number)
        stored = self.draw(st.integers(0, len(sent.batch.entries)))
        self.stored[sent.batch.thread_id] += sent.batch.entries[:stored]
        self.gathering.late(sent.batch, [None] * stored, sender, ValueError("late"))
        if sender is None:
            self.leave(None, sent.batch.thread_id)

    def stop_reader(self) -> None:
        for each in [each for each in self.flying if each[1] is None][:1]:
            self.flying.remove(each)
            self.gathering.abandoned(each[0].batch)
            self.leave(None, each[0].batch.thread_id)


@given(st.data())
def test_whatever_happens_in_whatever_order_nothing_is_lost_in_silence_or_overtakes(
    data: st.DataObject,
) -> None:
    """Calls are stopped, readers too, and the database refuses what it likes."""
    world = World(data.draw)
    often, seldom = (
        ["put", "writes", "look", "look", "time", "land"],
        ["stop", "read", "stop reader", "late"],
    )
    for _ in range(data.draw(st.integers(1, 60))):
        thread = data.draw(st.sampled_from(["t", "t", "t", "o"]))
        match data.draw(st.sampled_from([*often, *often, *seldom])):
            case "put":
                world.put(thread)
            case "writes":
                world.writes(thread)
            case "look" if world.waiting:
                entry = data.draw(st.sampled_from(world.waiting))
                if all(sender is not entry for _, sender in world.flying):
                    world.look(entry)
            case "time" if world.waiting:
                world.gathering.waited(data.draw(st.sampled_from(world.waiting)))
            case "land" if world.flying:
                world.land(data.draw(st.integers(0, len(world.flying) - 1)))
            case "late" if world.flying:
                world.late(data.draw(st.integers(0, len(world.flying) - 1)))
            case "stop" if world.waiting:
                world.stop(data.draw(st.sampled_from(world.waiting)))
            case "read":
                world.read(thread)
            case "stop reader":
                world.stop_reader()
    while world.waiting or world.flying:
        while world.flying:
            world.land(0, well=True)
        for entry in [*world.waiting]:
            world.gathering.waited(entry)
            world.look(entry)
    # Nothing waits for a call that nobody makes, and no call was left without an answer.
    assert world.gathering.handed_in(None, None) == []
    for entry in world.brought:
        assert entry.finished or entry in world.stopped
    for entries in world.stored.values():
        there: set[Key] = set()
        for entry in entries:
            if entry.is_put:  # no checkpoint without its parent, which came first
                assert there.issuperset(entry.stands_on)
                there.add(entry.key)


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
