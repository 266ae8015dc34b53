"""PostgreSQL's own query tree as text, read back: nodes, lists and words.

With `debug_print_rewritten` on, the server answers a Parse message with a notice that holds its
resolved and rewritten tree, as `nodeToString` writes it and broken into lines. `pg_node_tree`
columns of the catalog hold the same form in one line. This reader takes the form apart and knows
nothing of what the nodes mean (`node_fields.py` does); what is not exactly of that form is refused.
Source: PostgreSQL, `outfuncs.c` (outNode, outToken, outDatum) and `print.c` (format_node_dump).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

LONGEST_TREE = 16_000_000  # characters; what 100,000 characters of SQL over large views come to
LINE_BYTES = 78  # format_node_dump breaks lines there: at a blank, or inside a word without one

Value: TypeAlias = "str | Node | list[Value] | None"


class TreeError(ValueError):
    """The text is no tree that this reader can take apart without guessing."""


@dataclass(slots=True)
class Node:
    """One node. A field holds another node, a list, a word as it was written, or None for <>."""

    name: str
    fields: dict[str, Value] = field(default_factory=dict)


# A word may hold escaped characters; the bytes of a constant stand in square brackets.
_TOKEN = re.compile(r"\[\s[\s\d-]*\]|[(){}]|(?:[^\s(){}\\]|\\.)+|\S", re.DOTALL)
_LONG_WORD = re.compile(rf"\S{{{LINE_BYTES // 4},}}")


def parse(text: str) -> Value:
    """The value that a printed tree stands for. Raises TreeError."""
    if len(text) > LONGEST_TREE:
        raise TreeError(f"a query tree of {len(text)} characters")
    result: list[Value] = []
    opened: list[Node | list[Value]] = [result]
    labels: list[str | None] = [None]  # of each that is open: the field whose value comes next
    tokens = iter(_TOKEN.findall(text))
    for token in tokens:
        inside = opened[-1]
        value: Value
        match token:
            case "{" | "(":
                opened.append(Node(next(tokens, "")) if token == "{" else [])
                labels.append(None)
                continue
            case "}" | ")":
                if len(opened) == 1 or isinstance(inside, Node) != (token == "}"):
                    raise TreeError(f"{token} closes nothing")
                if labels.pop() is not None:
                    raise TreeError("a field without a value")
                value = opened.pop()
                inside = opened[-1]
            case "<>":
                value = None
            case _:
                value = token
                if isinstance(inside, Node) and labels[-1] is None:
                    if token[0] == "[" and len(token) > 1 and token[1].isspace():
                        continue  # the bytes of the constant whose length was its value
                    if token[0] != ":" or token[1:] in inside.fields:
                        raise TreeError(f"{token[:40]!r} where a field of {inside.name} begins")
                    labels[-1] = token[1:]
                    continue
        if isinstance(inside, list):
            inside.append(value)
        elif (label := labels[-1]) is None:
            raise TreeError(f"a value without a field in {inside.name}")
        else:
            inside.fields[label] = value
            labels[-1] = None
    if len(opened) != 1 or len(result) != 1:
        raise TreeError("the tree is not whole")
    return result[0]


def parse_printed(text: str) -> Value:
    """The same for the text of a notice, which was broken into lines.

    A line is broken at a blank, which is dropped, unless it has none: such a word (a name of very
    many brackets) cannot be told from two, so it is refused. Raises TreeError.
    """
    for word in _LONG_WORD.finditer(text):
        if len(word.group().encode()) >= LINE_BYTES - 1:
            raise TreeError("a name with too many brackets, braces or backslashes")
    return parse(text)


def nodes(value: Value) -> Iterator[Node]:
    """The nodes of a value, itself or in its lists, without those below them; in their order."""
    if isinstance(value, Node):
        yield value
    elif isinstance(value, list):
        for element in value:
            yield from nodes(element)


def oids(value: Value) -> Iterator[int]:
    """The object identifiers of a field: one, or a list that begins with o."""
    words = value[1:] if isinstance(value, list) and value[:1] == ["o"] else [value]
    for word in words:
        if word is None:
            continue
        if not isinstance(word, str) or not word.isdecimal():
            raise TreeError(f"{word!r} is no object identifier")
        if word != "0":
            yield int(word)
