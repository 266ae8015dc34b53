"""Classes as programs have them in their state: nested, generic, with fields made later."""

import collections
import dataclasses
import enum
import functools
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import pydantic.dataclasses
from pydantic import BaseModel, Field, HttpUrl, PrivateAttr, RootModel, SecretStr

T = TypeVar("T")


class Colour(enum.Enum):
    RED = 1
    BLUE = (1, "b")


class Word(enum.StrEnum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Agent:
    """A namespace of nested classes."""

    class Plan(BaseModel):
        steps: list[str] = []

    class Mood(enum.Enum):
        CALM = 1


class Sub(BaseModel):
    n: int


class SubMore(Sub):
    extra: str = "e"


class Holder(BaseModel):
    item: Sub
    any: Any = None


class Aliased(BaseModel):
    user_name: str = Field(alias="userName")


class Secretive(BaseModel):
    key: SecretStr


class Private(BaseModel):
    a: int = 0
    _p: int = PrivateAttr(default=5)


class Open(BaseModel, extra="allow"):
    a: int = 0


class Box(BaseModel, Generic[T]):
    item: T


@dataclasses.dataclass
class Pair:
    a: Any
    b: list[Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: Any


@dataclasses.dataclass
class Later:
    a: int
    c: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        self.c = self.a + 1


@dataclasses.dataclass
class Derived:
    a: int

    def __post_init__(self) -> None:
        self.double = self.a * 2

    @functools.cached_property
    def square(self) -> int:
        return self.a**2


@pydantic.dataclasses.dataclass
class Checked:
    a: int

    def __post_init__(self) -> None:
        self.double = self.a * 2


class Many(RootModel[list[int]]):
    pass


class Page(BaseModel):
    url: HttpUrl


class Point(NamedTuple):
    x: Any
    y: Any


Old = collections.namedtuple("Old", "x y")


class MyStr(str):
    pass


class MyList(list[Any]):
    pass


class MyDict(dict[Any, Any]):
    pass


class MyError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


class Failures(ExceptionGroup[Exception]):
    def __new__(cls, errors: list[Exception], code: int) -> "Failures":
        made = super().__new__(cls, "failures", errors)
        made.code = code
        return made


class Profile(BaseModel):
    name: str = ""
    best: Sub | None = None


class Typed(TypedDict):
    profile: Profile
    mood: Agent.Mood
    boxes: list[Box[int]]
    n: int


ALLOW = [
    *(Colour, Word, Number, Rights, Agent.Plan, Agent.Mood, Sub, SubMore, Holder, Aliased),
    *(Secretive, Private, Open, Box, Pair, Frozen, Later, Point, Old, MyStr, MyList, MyDict),
    *(MyError, Failures, Profile, Derived, Checked, Many, Page),
]
