"""The methods that offer operations in Python, as source text: one body for three classes.

Written as `ruff format` writes it, so that what is checked in is what the generator makes.
"""

import json
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cluster_runtime.control.operations.declaration import Declared, Earlier
from cluster_runtime.control.records.fields import Field

WIDTH = 100
INDENT = " " * 4
ALIASES = {"StorageType": "cluster_runtime.control.records.model"}
"""Names of literal types, and where they are defined."""

HEAVY = frozenset(
    {
        "cluster_runtime.control.records.instances",
        "cluster_runtime.control.records.recovery.backups",
        "cluster_runtime.control.records.recovery.rewinds",
        "cluster_runtime.diff.results",
        "cluster_runtime.gateway.description",
        "cluster_runtime.storage.description",
    }
)
"""Modules of results that load a part of the system, or that few commands have anything to do with:
each dataclass takes a millisecond to make."""

Import = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Style:
    """How one class offers operations.

    head: its text before the methods, with its class line; imports: what that text needs.
    body: the statements of a method of a result type, which has its arguments in a request.
    promised: it returns what the Protocol promises, and no more.
    """

    docstring: str
    head: str
    imports: tuple[Import, ...]
    awaited: bool = False
    body: Callable[[str], list[str]] | None = None
    promised: bool = False
    public: tuple[str, ...] = ()


def module(style: Style, operations: Iterable[Declared]) -> str:
    """The text of a module with one class, which has a method for each operation."""
    needed = set(style.imports)
    methods = [_method(each, style, needed) for each in operations]
    # Who has an operation performed elsewhere does not wait for what its result is made of.
    for_types = set() if style.body is None else {each for each in needed if each[0] in HEAVY}
    if for_types:
        needed.add(("typing", "TYPE_CHECKING"))
    parts = [f'"""{style.docstring}"""', _imports(needed - for_types)]
    if for_types:
        parts.append(f"if TYPE_CHECKING:\n{textwrap.indent(_imports(for_types), INDENT)}")
    if style.public:
        parts.append(f"__all__ = [{', '.join(json.dumps(name) for name in style.public)}]")
    return "\n\n".join(parts) + "\n\n\n" + "\n\n".join([style.head, *methods]) + "\n"


def signature(declared: Declared, needed: set[Import]) -> list[str]:
    """The parameters of a method, the first of them `self`."""
    found = ["self"]
    starred = False
    for each in declared.parameters:
        if each.keyword_only and not starred:
            found.append("*")
            starred = True
        default = "" if each.required else f" = {_literal(each.default)}"
        found.append(f"{each.name}: {type_name(each, needed)}{default}")
    return found


def type_name(field: Field, needed: set[Import]) -> str:
    """The type of a parameter as source text; what it imports is added to `needed`."""
    return f"{_plain_type(field, needed)}{' | None' if field.optional else ''}"


def docstring(declared: Declared) -> str:
    """The words of a method: what it does, its parameters, what it raises."""
    paragraphs = [_within_width(paragraph) for paragraph in declared.words.split("\n\n")]
    described = [f"{each.name}: {each.doc}" for each in declared.parameters if each.doc]
    if described:
        paragraphs.append(
            "\n".join(
                line for one in described for line in _wrap(one, width=WIDTH - 8, further=INDENT)
            )
        )
    if declared.raises:
        raised = ", ".join(kind.__name__ for kind in declared.raises)
        paragraphs.append("\n".join(_wrap(f"Raises {raised}.", width=WIDTH - 8, further="")))
    return "\n\n".join(paragraphs)


def brackets(before: str, parts: list[str], after: str, indent: str) -> list[str]:
    """`before` parts `after` on one line, or broken as the formatter breaks it."""
    one = f"{indent}{before}{', '.join(parts)}{after}"
    if len(one) <= WIDTH:
        return [one]
    inner = f"{indent}{INDENT}{', '.join(parts)}"
    if len(inner) <= WIDTH:
        return [indent + before, inner, indent + after]
    return [indent + before, *(f"{indent}{INDENT}{part}," for part in parts), indent + after]


def _method(declared: Declared, style: Style, needed: set[Import]) -> str:
    returns = _result(declared, needed, promised=style.promised or style.body is None)
    lines = []
    earlier = _earlier_names(declared)
    if style.body is not None and earlier:
        needed.add(("cluster_runtime.control.operations.renamed", "renamed"))
        lines += brackets("@renamed(", [f'{old}="{new}"' for old, new in earlier], ")", INDENT)
    start = f"{'async ' if style.awaited else ''}def {declared.method}("
    parameters = signature(declared, needed)
    heavy = declared.result is not None and declared.result.module in HEAVY
    named = f'"{returns}"' if heavy and style.body is not None else returns
    lines += brackets(start, parameters, f") -> {named}:", INDENT)
    said = docstring(declared).splitlines()
    if len(said) == 1:
        lines.append(f'{INDENT * 2}"""{said[0]}"""')
    else:
        lines.append(f'{INDENT * 2}"""{said[0]}')
        lines += [f"{INDENT * 2}{line}".rstrip() for line in [*said[1:], '"""']]
    if style.body is not None:
        # Whoever calls one operation does not wait for the declarations of all others.
        home, name = declared.request.__module__, declared.request.__name__
        lines += [textwrap.indent(_import(home, [name], INDENT * 2), INDENT * 2), ""]
        given = [
            f"{each.name}={_given(each)}" if each.keyword_only else _given(each)
            for each in declared.parameters
        ]
        request = f"request = {name}("
        lines += brackets(request, given, ")", INDENT * 2)
        lines += [f"{INDENT * 2}{line}" for line in style.body(returns)]
    return "\n".join(lines)


def _given(field: Field) -> str:
    """A parameter as the request has it."""
    return f"tuple({field.name})" if field.items is not None else field.name


def _result(declared: Declared, needed: set[Import], *, promised: bool) -> str:
    result = declared.result
    if result is None:
        return "None"
    name = (result.protocol_name if promised else "") or result.name
    needed.add((result.module, name))
    if not result.many:
        return name
    needed.add(("collections.abc", "Sequence"))
    return f"Sequence[{name}]"


def _earlier_names(declared: Declared) -> list[tuple[str, str]]:
    return [
        (note.name, each.name)
        for each in declared.parameters
        for note in each.notes
        if isinstance(note, Earlier)
    ]


def _plain_type(field: Field, needed: set[Import]) -> str:
    if field.choices:
        for name, home in ALIASES.items():
            if getattr(__import__(home, fromlist=[name]), name) == field.type:
                needed.add((home, name))
                return name
        needed.add(("typing", "Literal"))
        return f"Literal[{', '.join(_literal(choice) for choice in field.choices)}]"
    if field.items is not None:
        if field.items.__module__ != "builtins":
            needed.add((field.items.__module__, field.items.__name__))
        needed.add(("collections.abc", "Sequence"))
        return f"Sequence[{field.items.__name__}]"
    if field.type is datetime:
        needed.add(("datetime", "datetime"))
    elif field.type.__module__ != "builtins":
        needed.add((field.type.__module__, field.type.__name__))
    return str(field.type.__name__)


def _literal(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _imports(needed: set[Import]) -> str:
    names = defaultdict(set)
    for home, name in needed:
        names[home].add(name)
    groups = []
    for ours in (False, True):
        homes = sorted(home for home in names if home.startswith("cluster_runtime") is ours)
        lines = [
            _import(home, sorted(names[home], key=lambda name: (not name.isupper(), name)))
            for home in homes
        ]
        if lines:
            groups.append("\n".join(lines))
    return "\n\n".join(groups)


def _import(home: str, names: list[str], indent: str = "") -> str:
    one = f"from {home} import {', '.join(names)}"
    if len(indent) + len(one) <= WIDTH:
        return one
    return "\n".join([f"from {home} import (", *(f"{INDENT}{name}," for name in names), ")"])


def _within_width(paragraph: str) -> str:
    """A paragraph as it is, or with other line breaks where it is too wide for a method."""
    lines = paragraph.splitlines()
    if all(len(line) <= WIDTH - 8 for line in lines):
        return paragraph
    return "\n".join(_wrap(" ".join(lines), width=WIDTH - 8, further=""))


def _wrap(text: str, *, width: int, further: str) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
