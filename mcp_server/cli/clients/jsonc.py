"""JSON with comments, changed in one place: all the rest of the text stays as it is.

Editors keep their settings as JSON with `//` and `/* */` comments and commas before a closing
bracket. A member is set by changing the text around it; the result is then read again, and has to
say what was said before, with that one difference.

Format: VS Code's "JSON with Comments", Zed's settings. Pure.
"""

import copy
import json
import re
from dataclasses import dataclass, field
from typing import Any

from mcp_server.errors import McpServerError

DEEPEST = 200
TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\r\n]*|/\*.*?\*/)
      | (?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")
      | (?P<mark>[{}\[\],:])
      | (?P<word>[-+.\w]+)""",
    re.S | re.X,
)
DEFAULT_INDENT = "  "


class JsonTextError(McpServerError):
    """The text is no JSON with comments, or has another kind of value where an object must be."""


@dataclass(slots=True)
class Value:
    """A value and where it stands in the text. members: of an object, by name."""

    start: int
    end: int
    data: Any
    members: "dict[str, Value]" = field(default_factory=dict)
    comma: int | None = None
    """Offset of the comma behind it, if there is one."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def set_member(text: str, path: tuple[str, ...], value: Any) -> str:
    """The text with the member at `path` set to `value`; objects on the way are made.

    A text of blanks and comments alone counts as an empty object. Raises JsonTextError.
    """
    if not any(token.kind != "blank" for token in _tokens(text)):
        text = f"{text.rstrip()}\n{{}}\n".lstrip()
    root = parse(text)
    wanted = copy.deepcopy(root.data)
    _set(wanted, path, value)
    changed = _changed(text, root, path, value)
    if parse(changed).data != wanted:
        raise JsonTextError("the text has a form in which nothing can be set safely")
    return changed


def parse(text: str) -> Value:
    """Read a text. Raises JsonTextError, which names the line."""
    parser = _Parser(text)
    root = parser.value(0)
    parser.end()
    return root


def rendered(value: Any, indent: str = DEFAULT_INDENT) -> str:
    """A value as text of its own."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


class _Parser:
    """Recursive descent over the tokens that are not blank."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [token for token in _tokens(text) if token.kind != "blank"]
        self._at = 0

    def value(self, depth: int) -> Value:
        token = self._next()
        if depth > DEEPEST:
            raise self._wrong(token, f"more than {DEEPEST} values inside each other")
        if token.text == "{":
            return self._object(token, depth)
        if token.text == "[":
            return self._array(token, depth)
        if token.kind == "mark":
            raise self._wrong(token, f"{token.text!r} where a value is expected")
        return Value(token.start, token.end, self._scalar(token))

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise self._wrong(self._tokens[self._at], "more text behind the value")

    def _object(self, opening: _Token, depth: int) -> Value:
        found = Value(opening.start, opening.end, {})
        while not self._closes("}"):
            key = self._next()
            if key.kind != "string":
                raise self._wrong(key, "a name in double quotes is expected")
            name = self._scalar(key)
            self._expect(":")
            member = self.value(depth + 1)
            # Of two members of one name the last one counts; it has to stay the last one.
            found.members.pop(name, None)
            found.members[name] = member
            found.data[name] = member.data
            member.comma = self._comma("}")
        found.end = self._next().end
        return found

    def _array(self, opening: _Token, depth: int) -> Value:
        found = Value(opening.start, opening.end, [])
        while not self._closes("]"):
            found.data.append(self.value(depth + 1).data)
            self._comma("]")
        found.end = self._next().end
        return found

    def _comma(self, closing: str) -> int | None:
        if self._closes(closing):
            return None
        return self._expect(",").start

    def _closes(self, closing: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at].text == closing

    def _expect(self, mark: str) -> _Token:
        token = self._next()
        if token.text != mark:
            raise self._wrong(token, f"{mark!r} is expected")
        return token

    def _next(self) -> _Token:
        if self._at == len(self._tokens):
            raise JsonTextError("the text ends in the middle of a value")
        self._at += 1
        return self._tokens[self._at - 1]

    def _scalar(self, token: _Token) -> Any:
        try:
            return json.loads(token.text)
        except ValueError:
            raise self._wrong(token, f"{token.text[:40]!r} is no value") from None

    def _wrong(self, token: _Token, what: str) -> JsonTextError:
        line = self._text.count("\n", 0, token.start) + 1
        return JsonTextError(f"line {line}: {what}")


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if match is None:
            line = text.count("\n", 0, at) + 1
            raise JsonTextError(f"line {line}: {text[at]!r} is unexpected")
        found.append(_Token(match.lastgroup or "", match[0], match.start(), match.end()))
        at = match.end()
    return found


def _set(data: Any, path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        if not isinstance(data, dict):
            break
        data = data.setdefault(name, {})
    if not isinstance(data, dict):
        raise JsonTextError(f"no object holds {'.'.join(path)}")
    data[path[-1]] = value


def _changed(text: str, root: Value, path: tuple[str, ...], value: Any) -> str:
    unit = _indent_of(text)
    holder, depth = root, 0
    while len(path) > 1 and path[0] in holder.members:
        holder, path, depth = holder.members[path[0]], path[1:], depth + 1
    for name in reversed(path[1:]):
        value = {name: value}
    old = holder.members.get(path[0])
    if old is not None:
        return text[: old.start] + _lines(value, unit, depth + 1, text) + text[old.end :]
    member = f"{json.dumps(path[0], ensure_ascii=False)}: {_lines(value, unit, depth + 1, text)}"
    return _inserted(text, holder, member, unit, depth)


def _inserted(text: str, holder: Value, member: str, unit: str, depth: int) -> str:
    """Before the closing bracket, behind what stands there; the comma goes to the last value."""
    closing = holder.end - 1
    before = text[:closing].rstrip(" \t\r\n")
    newline = _newline_of(text)
    after = text[len(before) : closing]
    if "\n" not in after:
        after = f"{newline}{unit * depth}"
    last = list(holder.members.values())[-1] if holder.members else None
    if last is not None and last.comma is None:
        before = f"{before[: last.end]},{before[last.end :]}"
    return f"{before}{newline}{unit * (depth + 1)}{member}{after}{text[closing:]}"


def _lines(value: Any, unit: str, depth: int, text: str) -> str:
    return rendered(value, unit).replace("\n", f"{_newline_of(text)}{unit * depth}")


def _indent_of(text: str) -> str:
    """What its first member is indented by."""
    match = re.search(r"^([ \t]+)\"", text, re.M)
    return match[1] if match else DEFAULT_INDENT


def _newline_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
