"""Answers in pages: what a model gets at once is bounded, and it may ask for the rest.

An answer is made once, from one snapshot of the database. What does not fit waits here for a while
under a name that cannot be guessed, in the session that got it.
"""

import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcp_server.errors import McpServerError
from mcp_server.rendering import Json, clip

CHARACTERS_A_TOKEN = 4
"""As models count English and JSON, roughly."""
ANSWER_TOKENS = 20_000
"""Most of one answer, if nobody says: a common client cuts at 25,000."""
NOTE_CHARACTERS = 600
"""What the fence and the notes around a page may take of its bound."""

KEPT_SECONDS = 600.0
KEPT_ANSWERS = 64
KEPT_CHARACTERS = 16_000_000

LONGEST_TEXTS = (8192, 2048, 512, 128, 32)
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
LONGEST_LISTS = (1000, 300, 100, 30, 10, 3)


class CursorError(McpServerError):
    """A cursor that no answer waits under. Calling the tool again gives another one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answers. items: what pages divide. notes: what we say of it, with the first page.

    wrap: a page's value from its items, and whether it is the first.
    fenced: whether it holds what anybody may have written into a database.
    """

    items: Sequence[Json]
    wrap: Callable[[Sequence[Json], bool], Json]
    notes: tuple[str, ...] = ()
    fenced: bool = False

    @classmethod
    def whole(cls, value: Json, *, notes: tuple[str, ...] = (), fenced: bool = False) -> "Answer":
        """An answer that is not divided: what is too long in it is cut."""
        return cls((), lambda _items, _first: value, notes, fenced)

    @classmethod
    def lines(cls, lines: Sequence[str], *, notes: tuple[str, ...] = ()) -> "Answer":
        """Text, divided between lines; of a database, so fenced."""
        return cls(lines, lambda items, _first: "\n".join(items), notes, fenced=True)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of an answer, from one item up to another."""

    text: str
    end: int
    left: int


def page(answer: Answer, start: int, characters: int) -> Page:
    """The page that begins at an item: as many as fit, one at least, and never more characters."""
    first = start == 0
    room = characters - min(len(dumped(answer.wrap([], first))), characters // 2)
    end = start
    for item in answer.items[start:]:
        room -= len(dumped(item)) + 1
        if room < 0 and end > start:
            break
        end += 1
    value = answer.wrap(answer.items[start:end], first)
    text = dumped(value)
    if len(text) > characters:
        text = dumped(fitted(value, characters))
    return Page(text, end, len(answer.items) - end)


def dumped(value: Json) -> str:
    """A value as it is sent: JSON on one line, and a text as it is."""
    if isinstance(value, str):
        return value
    return ENCODER.encode(value)


def fitted(value: Json, characters: int) -> Json:
    """The value in at most so many characters: texts in it are clipped, then lists cut."""
    if len(dumped(value)) <= characters:
        return value
    if isinstance(value, str):
        return _cut(value, characters)
    for longest in LONGEST_TEXTS:
        if len(dumped(clipped := _with(value, longest, None))) <= characters:
            return clipped
    for most in LONGEST_LISTS:
        if len(dumped(short := _with(value, LONGEST_TEXTS[-1], most))) <= characters:
            return short
    return _cut(dumped(value), characters)


def _cut(text: str, characters: int) -> str:
    """Cut within the bound, the words that say so included."""
    return clip(text, max(characters - 40, 0))[:characters]


def _with(value: Json, longest: int, most: int | None) -> Json:
    """The value with texts of at most `longest` characters, and `most` parts of each list."""
    match value:
        case str():
            return clip(value, longest)
        case list() | tuple():
            parts = [_with(each, longest, most) for each in value[:most]]
            left = len(value) - len(parts)
            return [*parts, f"… [{left} more]"] if left else parts
        case dict():
            return {key: _with(each, longest, most) for key, each in value.items()}
        case _:
            return value


@dataclass(frozen=True, slots=True)
class _Kept:
    owner: str
    answer: Answer
    until: float
    characters: int


class KeptAnswers:
    """The answers whose rest may be asked for. Times are seconds of the callers' clock."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def keep(self, answer: Answer, start: int, owner: str, now: float) -> str:
        """The cursor of the rest that begins at an item. Old ones go when there are too many."""
        characters = sum(len(dumped(each)) for each in answer.items[start:])
        token = secrets.token_urlsafe(18)
        self._kept[token] = _Kept(owner, answer, now + KEPT_SECONDS, characters)
        self._forget(now)
        return _cursor(token, start)

    def find(self, cursor: str, owner: str, now: float) -> tuple[Answer, int]:
        """What a cursor stands for: the answer, and where it goes on. Raises CursorError."""
        token, _, place = cursor.strip().rpartition(".")
        kept = self._kept.get(token)
        if (
            kept is None
            or kept.owner != owner
            or kept.until < now
            or not (place.isascii() and place.isdigit() and len(place) < 10)
            or int(place) >= len(kept.answer.items)
        ):
            raise CursorError(
                f"nothing waits under the cursor {clip(cursor, 60)!r}: one is good for "
                f"{KEPT_SECONDS / 60:g} minutes, in the session that got it, and must be sent as "
                "it was given. Call the tool that gave it again"
            )
        self._kept.move_to_end(token)
        return kept.answer, int(place)

    def at(self, cursor: str, place: int) -> str:
        """The cursor of the same answer at another item."""
        return _cursor(cursor.strip().rpartition(".")[0], place)

    def _forget(self, now: float) -> None:
        for token in [each for each, kept in self._kept.items() if kept.until < now]:
            del self._kept[token]
        while len(self._kept) > 1 and (
            len(self._kept) > KEPT_ANSWERS
            or sum(each.characters for each in self._kept.values()) > KEPT_CHARACTERS
        ):
            self._kept.popitem(last=False)


def _cursor(token: str, place: int) -> str:
    return f"{token}.{place}"


FENCE = "untrusted-data-"


def blocks(text: str, notes: Sequence[str], *, fenced: bool) -> list[str]:
    """The texts of a result: data between two marks that it cannot know, then what we say of it."""
    said = "\n".join(notes)
    if not fenced:
        return [text, said] if said else [text]
    mark = FENCE + secrets.token_hex(4)
    return [f"<{mark}>", text, f"</{mark}>\n{said}" if said else f"</{mark}>"]


def data_of(texts: Sequence[str]) -> str:
    """The data in the texts of a result, as `blocks` put them."""
    return texts[1] if texts[0].startswith(f"<{FENCE}") else texts[0]
