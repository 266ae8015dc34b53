"""DDL text of objects from what the catalogs say of them. Pure.

The text is for comparing and reading: two objects are the same exactly if their texts are. What
goes without saying is not said: that an object belongs to the owner of its database, and rights
that its owner has by default.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Right = tuple[str, str, bool]
"""A privilege, to whom, and whether with grant option."""

NOT_VALID = "NOT VALID"
"""What no constraint is that comes with its table."""
GRANTED_AS = {
    "aggregate ": "function ",
    "foreign table ": "table ",
    "materialized view ": "table ",
    "view ": "table ",
}
"""What GRANT calls otherwise than the rest of SQL."""


@dataclass(frozen=True, slots=True)
class Described:
    """An object. noun: how `comment on` calls it, such as `table public.t`; ddl: what makes it.

    owner: None for that of the database. rights: None where they are as they come; usual: those
    that come with such an object.
    """

    kind: str
    name: str
    noun: str
    ddl: str
    owner: str | None = None
    rights: Sequence[Right] | None = None
    usual: Sequence[Right] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column. line: its definition; inherited: from a parent; more: clauses of ALTER COLUMN."""

    name: str
    line: str
    inherited: bool
    rights: Sequence[Right] | None = None
    comment: str | None = None
    more: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table, by its definition."""

    name: str
    definition: str
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table before it is put together; the DDL of `described` stands before its columns.

    tail: clauses behind them; more: clauses of ALTER TABLE; parents: what it inherits from.
    """

    described: Described
    tail: Sequence[str]
    more: Sequence[str]
    parents: Sequence[str]


def text_of(described: Described, columns: Sequence[Column] = ()) -> str:
    """The whole DDL of an object. columns: what is to be said of those of a view."""
    return "\n".join(
        [_ended(described.ddl), *_about(described), *_about_columns(described, columns)]
    )


def text_of_table(
    table: Table,
    columns: Sequence[Column],
    constraints: Sequence[Constraint],
    parents: Iterable[Sequence[Column]],
) -> str:
    """The whole DDL of a table. parents: the columns of each that it inherits from.

    A column that is as its parent has it is the parent's to tell.
    """
    described = table.described
    theirs = {column.line for each in parents for column in each}
    own = [each for each in columns if not (each.inherited and each.line in theirs)]
    inner = [each.line for each in own]
    added = [each for each in constraints if each.definition.endswith(NOT_VALID)]
    inner += [f"constraint {one.name} {one.definition}" for one in constraints if one not in added]
    body = "(\n" + ",\n".join(f"    {line}" for line in inner) + "\n)" if inner else "()"
    statements = [_ended("\n".join([f"{described.ddl} {body}", *table.tail]))]
    statements += [
        f"alter {described.noun} add constraint {one.name} {one.definition};" for one in added
    ]
    statements += [f"alter {described.noun} {clause};" for clause in table.more]
    for column in own:
        alter = f"alter {described.noun} alter column {column.name}"
        statements += [f"{alter} {clause};" for clause in column.more]
    statements += [*_about(described), *_about_columns(described, own)]
    for constraint in constraints:
        noun = f"constraint {constraint.name} on {described.name}"
        statements += _comment(noun, constraint.comment)
    return "\n".join(statements)


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def _ended(ddl: str) -> str:
    return ddl if ddl.endswith(";") else f"{ddl};"


def _about(described: Described) -> Iterator[str]:
    """Statements on whose it is, who may use it, and what it is for."""
    if described.owner is not None:
        yield f"alter {described.noun} owner to {described.owner};"
    yield from _rights(described.noun, described.rights, described.usual)
    yield from _comment(described.noun, described.comment)


def _about_columns(described: Described, columns: Sequence[Column]) -> Iterator[str]:
    for column in columns:
        yield from _rights(described.noun, column.rights, (), f" ({column.name})")
        yield from _comment(f"column {described.name}.{column.name}", column.comment)


def _rights(
    noun: str, rights: Sequence[Right] | None, usual: Sequence[Right], column: str = ""
) -> Iterator[str]:
    if rights is None:
        return
    for other, known in GRANTED_AS.items():
        noun = f"{known}{noun.removeprefix(other)}" if noun.startswith(other) else noun
    given, expected = set(map(_right, rights)), set(map(_right, usual))
    for privilege, whom, _ in sorted(expected - given):
        yield f"revoke {privilege}{column} on {noun} from {whom};"
    for privilege, whom, grantable in sorted(given - expected):
        option = " with grant option" if grantable else ""
        yield f"grant {privilege}{column} on {noun} to {whom}{option};"


def _right(right: Sequence[object]) -> Right:
    privilege, whom, grantable = right
    return str(privilege), str(whom), bool(grantable)


def _comment(noun: str, comment: str | None) -> Iterator[str]:
    if comment is not None:
        yield f"comment on {noun} is {literal(comment)};"
