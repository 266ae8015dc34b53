"""What is accepted comes back equal to itself, of the same type; the rest is refused by name."""

import collections
import dataclasses
import datetime as dt
import decimal
import fractions
import ipaddress
import pathlib
import pickle
import re
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel

from memory.encoding.serde import BorealisSerializer
from memory.errors import NotSerializableError, TypeNotAllowedError, TypeNotFoundError
from tests.examples import examples
from tests.memory import classes_of_users as u

SERIALIZER = BorealisSerializer(allow=u.ALLOW)


def same(a: Any, b: Any) -> bool:
    """Equal, and of the same types at every depth."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())
    if isinstance(a, (float, complex, decimal.Decimal, np.floating)):
        return repr(a) == repr(b)
    if isinstance(a, dict):
        factory = getattr(a, "default_factory", None) is getattr(b, "default_factory", None)
        keys = len(a) == len(b) and all(map(same, a, b))
        return factory and keys and all(map(same, a.values(), b.values()))
    if isinstance(a, (list, tuple, collections.deque)):
        bounds = getattr(a, "maxlen", None) == getattr(b, "maxlen", None)
        return bounds and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, BaseModel):
        parts = (vars(a), a.__pydantic_extra__, a.__pydantic_private__)
        return all(map(same, parts, (vars(b), b.__pydantic_extra__, b.__pydantic_private__)))
    if dataclasses.is_dataclass(a) and not isinstance(a, Interrupt):
        fields = all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
        return fields and same(getattr(a, "__dict__", None), getattr(b, "__dict__", None))
    if isinstance(a, BaseException):
        named = ("filename", "filename2", "reason", "name", "path", "code", "value", "lineno")
        parts = [(vars(e), str(e), [getattr(e, name, None) for name in named]) for e in (a, b)]
        return same(a.args, b.args) and same(*parts)
    if isinstance(a, (dt.datetime, dt.time)):
        return repr(a) == repr(b)
    return bool(a == b)


def raised(cause: Callable[[], Any]) -> BaseException:
    try:
        cause()
    except BaseException as error:  # noqa: BLE001 - what it is, is what is stored
        return error
    raise AssertionError


def holder_with_private() -> u.Private:
    model = u.Private(a=1)
    model._p = 9
    return model


SPECIMENS: dict[str, Any] = {
    "enum": u.Colour.BLUE,
    "string enum": u.Word.A,
    "integer enum": u.Number.ONE,
    "flags": u.Rights.READ | u.Rights.WRITE,
    "nested model": u.Agent.Plan(steps=["a"]),
    "nested enum": u.Agent.Mood.CALM,
    "generic model": u.Box[int](item=1),
    "generic model of a model": u.Box[u.Sub](item=u.Sub(n=1)),
    "generic model of a list": u.Box[list[int]](item=[1]),
    "generic model of a generic model": u.Box[u.Box[str]](item=u.Box[str](item="a")),
    "a subclass where a model is declared": u.Holder(item=u.SubMore(n=1, extra="kept")),
    "a model where anything is": u.Holder(item=u.Sub(n=1), any=[u.Sub(n=2), {1, 2}]),
    "a big integer in a model": u.Holder(item=u.Sub(n=10**30)),
    "an aliased field": u.Aliased(userName="ada"),
    "a secret": u.Secretive(key="k"),
    "private attributes": holder_with_private(),
    "further fields": u.Open(a=1, b=(2, 3)),
    "dataclass": u.Pair(u.Pair(1, []), [u.Frozen({1})]),
    "a field that the class sets": u.Later(1),
    "what __post_init__ makes beside the fields": [u.Derived(2), u.Checked(2)],
    "a model of a list": u.Many([1]),
    "an address of the web": u.Page(url="http://a.b/c?d=%20"),
    "named tuples": [u.Point(1, (2,)), u.Old(1, 2)],
    "subclasses of str, list and dict": [u.MyStr("a"), u.MyList([1]), u.MyDict(a=1)],
    "defaultdict": collections.defaultdict(list, a=[1]),
    "OrderedDict": collections.OrderedDict([("b", 1), ("a", 2)]),
    "Counter": collections.Counter("aab"),
    "deque": collections.deque([1, 2], maxlen=3),
    "enum keys": {u.Colour.RED: 1, u.Word.A: 2, u.Number.ONE: 3},
    "keys of the standard library": {uuid.UUID(int=1): 1, dt.date(2020, 1, 1): 2, (1, 2): 3},
    "keys that JSON would merge": {1: "a", "1": "b", None: 3, b"a": 4, frozenset({1}): 5},
    "numpy scalars": [np.float32(1.5), np.int64(5), np.float64(1.5), np.bool_(True)],
    "numpy arrays": [np.arange(6).reshape(2, 3), np.asfortranarray(np.ones((2, 2))), np.zeros(0)],
    "numpy, structured": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "numpy, text and time": [np.array(["a"]), np.datetime64("2020-01-01", "D")],
    "numbers": [1 + 2j, fractions.Fraction(1, 3), decimal.Decimal("1.10"), range(3), -0.0, 10**40],
    "bytes": [b"\0\xff", bytearray(b"x"), [bytearray(b"y")]],
    "text": ["a\0", "\ud800", {"\ud800": 1}],
    "times": [
        dt.datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Paris")),
        dt.time(1, 2, tzinfo=dt.UTC),
        dt.datetime(2020, 10, 25, 2, 30, fold=1),
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
        dt.timedelta(days=1, microseconds=3),
    ],
    "paths, patterns, addresses": [
        pathlib.Path("/a/b"),
        re.compile("a+", re.I),
        ipaddress.ip_address("::1"),
    ],
    "exceptions": [ValueError("x", 1), KeyError("k"), u.MyError(3)],
    "exceptions of the interpreter": [
        raised(pathlib.Path("/nonexistent/file").read_text),
        OSError(18, "cross-device", "a", None, "b"),
        raised(b"\xff".decode),
        raised(lambda: compile("a b", "file", "exec")),
        raised(lambda: __import__("no_such_module")),
        raised(lambda: SPECIMENS.nothing),  # type: ignore[attr-defined]
        StopIteration(5),
        SystemExit(3),
        u.Failures([ValueError(1)], 7),
    ],
    "artifact": ToolMessage("x", tool_call_id="1", artifact=[Document("d", metadata={"a": (1,)})]),
    "messages": [AIMessage("x", tool_calls=[{"name": "t", "args": {"a": (1,)}, "id": "1"}])],
    "LangGraph's own": [Send("n", u.Sub(n=1)), Interrupt("v", id="1"), Command(update={"a": (1,)})],
}


@pytest.mark.parametrize("name", SPECIMENS)
def test_it_comes_back_as_it_was(name: str) -> None:
    value = SPECIMENS[name]
    found = SERIALIZER.loads_typed(SERIALIZER.dumps_typed({"deep": [value]}))["deep"][0]
    assert same(value, found), f"{value!r} became {found!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memoryview", memoryview(b"x")),
        ("builtins.function", lambda: 1),
        ("generator", (i for i in [1])),
        ("ellipsis", ...),
        ("numpy value of Python objects", np.array([object()])),
        ("zone", dt.datetime(2020, 1, 1, tzinfo=type("Z", (dt.tzinfo,), {})())),
        ("function", collections.defaultdict(lambda: 1)),
        ("object", u.Pair(1, [object()])),
    ],
)
def test_what_would_not_come_back_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(NotSerializableError, match=name):
        SERIALIZER.dumps_typed({"x": [value]})


def test_numpy_arrays_can_be_written_to_after_reading() -> None:
    found = SERIALIZER.loads_typed(SERIALIZER.dumps_typed([np.zeros(2)]))[0]
    found += 1
    assert found.tolist() == [1, 1]


def test_a_class_inside_a_function_is_refused_unless_it_is_passed_itself() -> None:
    class Local(BaseModel):
        x: int = 1

    by_name = BorealisSerializer(allow=[(Local.__module__, "Local")])
    with pytest.raises(NotSerializableError, match="could not be found again by that name"):
        by_name.dumps_typed(Local())
    itself = BorealisSerializer(allow=[Local])
    assert itself.loads_typed(itself.dumps_typed(Local(x=2))) == Local(x=2)


def test_a_class_of_a_field_is_allowed_with_the_class_that_has_it_and_no_other_is() -> None:
    serializer = BorealisSerializer(allow=[u.Typed])
    value = [u.Profile(name="a", best=u.Sub(n=1)), u.Agent.Mood.CALM, u.Box[int](item=1)]
    assert serializer.loads_typed(serializer.dumps_typed(value)) == value
    with pytest.raises(TypeNotAllowedError, match=r"SubMore is not on .* allow=\[SubMore\]"):
        serializer.dumps_typed(u.Profile(best=u.SubMore(n=1)))
    with pytest.raises(TypeNotAllowedError):
        serializer.loads_typed(SERIALIZER.dumps_typed(u.Pair(1, [])))


def test_the_last_part_of_a_name_allows_no_other_module_s_class_and_no_other_origin() -> None:
    import ormsgpack

    serializer = BorealisSerializer(allow=[(u.__name__, "BaseModel"), (u.__name__, "Sub")])
    for fields in (
        [u.__name__, "dataclasses.Sub", {"n": 1}, "model_validate_json"],
        [u.__name__, "collections.BaseModel", {}, "model_validate_json"],
        [u.__name__, "Sub[x]", {}, "", [None, None, None, ["enum.Enum", ["builtins", "int"]]]],
    ):
        data = ormsgpack.packb(ormsgpack.Ext(5, ormsgpack.packb(fields)))
        with pytest.raises((TypeNotAllowedError, TypeNotFoundError)):
            serializer.loads_typed(("msgpack", data))


def test_a_generic_model_is_read_by_a_process_that_never_made_it() -> None:
    written = SERIALIZER.dumps_typed(u.Box[u.Sub](item=u.Sub(n=3)))
    program = (
        "import pickle, sys\nfrom memory.encoding.serde import BorealisSerializer\n"
        "s = BorealisSerializer(allow=[('tests.memory.classes_of_users', 'Box'),"
        " ('tests.memory.classes_of_users', 'Sub')])\n"
        "print(s.loads_typed(pickle.loads(bytes.fromhex(sys.argv[1]))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, pickle.dumps(written).hex()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "item=Sub(n=3)\n"


def test_what_the_last_release_wrote_is_read() -> None:
    """Rows as they were: models flattened, classes by their short names, exceptions as text."""
    import ormsgpack

    flat = ormsgpack.packb(
        [u.__name__, "Holder", {"item": {"n": 1}, "any": None}, "model_validate_json"]
    )
    short = ormsgpack.packb([u.__name__, "Plan", {"steps": ["a"]}, "model_validate_json"])
    data = ormsgpack.packb([ormsgpack.Ext(5, flat), ormsgpack.Ext(5, short)])
    assert SERIALIZER.loads_typed(("msgpack", data)) == [
        u.Holder(item=u.Sub(n=1)),
        u.Agent.Plan(steps=["a"]),
    ]


def test_langgraphs_own_serializer_reads_what_this_one_writes_of_its_kinds() -> None:
    value = [HumanMessage("a"), Document("d"), {1, 2}, uuid.UUID(int=1), dt.date(2020, 1, 1)]
    assert JsonPlusSerializer().loads_typed(SERIALIZER.dumps_typed(value)) == value


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.builds(bytearray, st.binary())
    | st.complex_numbers()
    | st.fractions()
    | st.decimals()
    | st.uuids()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC) | st.timezones())
    | st.sampled_from([*u.Colour, *u.Word, *u.Number, *u.Rights, *u.Agent.Mood])
    | st.ip_addresses()
    | st.builds(u.MyStr, st.text())
    | st.builds(np.float32, st.floats(width=32))
    | st.builds(np.int16, st.integers(-(2**15), 2**15 - 1))
    | st.builds(range, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3))
)
keys = scalars.filter(lambda v: not isinstance(v, (bytearray, float, complex, decimal.Decimal)))


CONTAINERS: list[Any] = [
    list,
    tuple,
    u.MyList,
    lambda parts: collections.deque(parts, maxlen=5),
    lambda parts: u.Pair(parts, [parts]),
    u.Frozen,
    lambda parts: u.Point(parts, 1),
    lambda parts: u.Holder(item=u.Sub(n=1), any=parts),
    lambda parts: u.Open(b=parts),
    lambda parts: u.Box[list[int]](item=list(range(len(parts)))),
    lambda parts: ToolMessage("x", tool_call_id="1", artifact=parts),
    lambda parts: Document("d", metadata={"v": parts}),
    lambda parts: ValueError(*parts),
    lambda parts: [object(), *parts],
    lambda parts: [memoryview(b"x"), *parts],
]
MAPPINGS: list[Any] = [
    dict,
    u.MyDict,
    collections.OrderedDict,
    lambda pairs: collections.defaultdict(dict, pairs),
    lambda pairs: set(dict(pairs)),
    lambda pairs: frozenset(dict(pairs)),
]


@st.composite
def containers(draw: Any, inner: st.SearchStrategy[Any]) -> Any:
    make = draw(st.sampled_from(CONTAINERS + MAPPINGS))
    if make in CONTAINERS:
        return make(draw(st.lists(inner, max_size=3)))
    return make(draw(st.lists(st.tuples(keys, inner), max_size=3)))


@settings(max_examples=examples(200), deadline=None)
@given(st.recursive(scalars, containers, max_leaves=8))
def test_whatever_is_accepted_equals_itself_and_the_rest_is_refused_by_name(value: Any) -> None:
    refusable = "<object object" in repr(value) or "<memory at" in repr(value)
    try:
        written = SERIALIZER.dumps_typed(value)
    except NotSerializableError:
        assert refusable
        return
    found = SERIALIZER.loads_typed(written)
    assert same(value, found), f"{value!r} became {found!r}"
