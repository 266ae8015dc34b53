"""Values as the data spells them, and in the column that holds them."""

from collections.abc import Iterator

from sqlglot import exp

from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.mending.sources import Sources, column_of
from mcp_server.nl2sql.schema.model import Column, Kind
from mcp_server.nl2sql.words.lexicon import SEXES
from mcp_server.nl2sql.words.places import KNOWN_AS
from mcp_server.nl2sql.words.tokens import normal_text, stem
from mcp_server.nl2sql.words.trigrams import one_letter_off, similarity

ALIKE = 0.55
SHORTEST = 4
"""A shorter text is like too many others."""
SHORTEST_TYPING = 6
"""One letter makes another word of a shorter one, as Iraq of Iran."""
TRUE = frozenset({"1", "t", "true", "y", "yes"})
FALSE = frozenset({"0", "f", "false", "n", "no"})


def values(tree: exp.Expr, linker: Linker) -> Iterator[str]:
    """Spell each text as the column does that it is compared with; says what was done.

    A text that the column does not hold, and another column of the same table does, is compared
    with that one.
    """
    sources = Sources(tree, linker.profile)
    for test in list(tree.find_all(exp.EQ, exp.NEQ, exp.In)):
        column = sources.column(test.this)
        if column is None or column.kind is not Kind.TEXT or not column.values:
            continue
        for literal in _literals(test):
            text = literal.name
            held = spelled(text, column)
            if held is not None:
                if held != text:
                    literal.replace(exp.Literal.string(held))
                    yield f"{text!r} is {held!r} in {column!r}"
                continue
            other = _elsewhere(text, column, linker)
            if other is None or len(_literals(test)) > 1:
                continue
            found, value = other
            owner = sources.owner(test.this)
            if owner is None:
                continue
            test.set("this", column_of(owner[0], found))
            literal.replace(exp.Literal.string(value))
            yield f"{text!r} is found in {found!r}, not in {column!r}"


def _literals(test: exp.Expr) -> list[exp.Literal]:
    held = test.args.get("expressions") if isinstance(test, exp.In) else [test.expression]
    return [each for each in held or () if isinstance(each, exp.Literal)]


def spelled(text: str, column: Column) -> str | None:
    """A text as a column spells it; None where nothing there is like it."""
    normal = normal_text(text)
    if normal in column.values:
        return column.values[normal]
    for group in (TRUE, FALSE):
        if normal in group and column.distinct <= 3:
            there = [value for key, value in column.values.items() if key in group]
            if len(there) == 1:
                return there[0]
    for names in (*KNOWN_AS.get(normal, ()), *SEXES.get(normal, ())):
        known = [column.values[name] for name in names if name in column.values]
        if known:
            return known[0]
    if (text.isupper() or len(normal) == 1) and len(normal) <= 2:
        begins = [value for key, value in column.values.items() if key.startswith(normal)]
        return begins[0] if len(begins) == 1 and column.distinct <= 3 else None
    return _alike(normal, column)


def _alike(normal: str, column: Column) -> str | None:
    squeezed = _squeezed(normal)
    same = [value for key, value in column.values.items() if _squeezed(key) == squeezed]
    if len(same) == 1:
        return same[0]
    if len(normal) < SHORTEST:
        return None
    scored = sorted(
        ((_likeness(normal, key), value) for key, value in column.values.items()),
        key=lambda pair: -pair[0],
    )
    best = [value for score, value in scored if score == scored[0][0] and score >= ALIKE]
    return best[0] if len(best) == 1 else None


def _likeness(one: str, other: str) -> float:
    if _digits(one) != _digits(other):
        return 0.0  # another number is another thing
    if min(len(one), len(other)) >= SHORTEST_TYPING and one_letter_off(one, other):
        return 1.0
    if " " not in one and " " not in other and stem(one) == stem(other):
        return 0.95
    return similarity(one, other)


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _squeezed(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


def _elsewhere(text: str, column: Column, linker: Linker) -> tuple[Column, str] | None:
    """The other column of the same table that holds a text."""
    held = linker.profile.value_index.get(normal_text(text), [])
    same = [pair for pair in held if pair[0].table is column.table]
    if len(same) == 1:
        return same[0]
    near = [
        (other, found)
        for other in column.table.columns
        if other is not column and other.kind is Kind.TEXT and not same
        if (found := _alike(normal_text(text), other)) is not None
    ]
    return near[0] if len(near) == 1 else None


def types(tree: exp.Expr, linker: Linker) -> Iterator[str]:
    """Compare texts with texts and numbers with numbers."""
    sources = Sources(tree, linker.profile)
    tests = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between)
    for test in list(tree.find_all(*tests)):
        column = sources.column(test.this)
        if column is None or column.kind is not Kind.TEXT:
            continue
        numbers = [each for each in _compared(test) if not each.is_string]
        if not numbers:
            continue
        if isinstance(test, exp.EQ | exp.NEQ | exp.In):
            for number in numbers:
                number.replace(exp.Literal.string(number.name))
            yield f"compared {column!r} as text"
        elif column.numeric_text:
            test.set("this", exp.cast(test.this.copy(), "numeric"))
            yield f"compared {column!r} as a number"
    for total in list(tree.find_all(exp.Sum, exp.Avg)):
        column = sources.column(total.this)
        if column is not None and column.kind is Kind.TEXT and column.numeric_text:
            total.set("this", exp.cast(total.this.copy(), "numeric"))
            yield f"added up {column!r} as numbers"


def _compared(test: exp.Expr) -> list[exp.Literal]:
    if isinstance(test, exp.Between):
        both = [test.args["low"], test.args["high"]]
        return [each for each in both if isinstance(each, exp.Literal)]
    return _literals(test)
