"""What rows are called, in the place of keys that only tell them apart.

Who manages a job is a person, whom `manager_id` tells from others: a query that would show the key
shows the name. Whoever asks for an id or a code gets that.
"""

from collections.abc import Sequence
from itertools import pairwise

from sqlglot import exp

from mcp_server.nl2sql.linking.heard import NUMBERED, role_words, roots
from mcp_server.nl2sql.schema.display import full_name
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile
from mcp_server.nl2sql.sql.joined import identifier, named
from mcp_server.nl2sql.words.tokens import Token


def with_names(tree: exp.Query, tokens: Sequence[Token], found: Profile) -> exp.Query:
    """A query that shows names where it showed keys to rows that have one."""
    if not isinstance(tree, exp.Select) or not _is_plain(tree):
        return tree
    said = [token.lemma for token in tokens]
    for place, shown in enumerate(tree.selects):
        key = _key(tree, shown, found)
        if key is not None and _only_tells_apart(key, said) and _is_spoken_of(key, said):
            tree = _named_at(tree, place, key)
    return tree


def _is_plain(tree: exp.Select) -> bool:
    """Whether it reads tables and has no window, of which another column would be a part."""
    return all(isinstance(each, exp.Table) for each in _read(tree)) and not tree.find(exp.Window)


def _read(tree: exp.Select) -> list[exp.Expr]:
    source = tree.args.get("from_") or tree.args.get("from")
    joins = tree.args.get("joins") or []
    return [part.this for part in (source, *joins) if part is not None]


def _key(tree: exp.Select, shown: exp.Expr, found: Profile) -> ForeignKey | None:
    """The one key that a shown column is; None for any other column."""
    if not isinstance(shown, exp.Column):
        return None
    read = {source.alias_or_name: source for source in _read(tree)}
    source = read.get(shown.table) if shown.table else next(iter(read.values()))
    keys = [
        key
        for key in found.foreign_keys
        if isinstance(source, exp.Table)
        and key.column.name == shown.name
        and found.named(source.db, source.name) is key.column.table
    ]
    return keys[0] if len(keys) == 1 and not keys[0].beside else None


def _only_tells_apart(key: ForeignKey, said: Sequence[str]) -> bool:
    """Whether a key says nothing by itself, and nobody asks for it: for the *customer number*."""
    column = key.column
    numbered = bool(column.words) and column.words[-1] in NUMBERED
    if numbered and column.words[-1] in said:
        return False
    whose = {*column.words, *key.target.table.words}
    asked = any(one in whose and other in NUMBERED for one, other in pairwise(said))
    return not asked and (numbered or column.kind is Kind.NUMBER)


def _is_spoken_of(key: ForeignKey, said: Sequence[str]) -> bool:
    """Whether rows are asked for to which others refer: not the key by its own name, nor all
    *members*, but who *referred* them.
    """
    if "who" in said:
        return True
    if key.column.table is not key.target.table:
        return not set(key.column.words) <= set(said)
    return bool(roots(role_words(key.column, key.target.table)) & roots(said))


def _named_at(tree: exp.Select, place: int, key: ForeignKey) -> exp.Select:
    """The query with the names of what a key refers to in one place of its SELECT."""
    names = full_name(key.target.table)
    called = {column.words[-1:] for column in names}
    others = [c for c in key.target.table.columns if c not in (key.target, key.column)]
    alike = any(c.words == key.column.words for c in others)
    if not names or key.target in names or ("description",) in called or alike:
        return tree  # a maker may be told by what the makers' own table has as their maker
    copy = tree.copy()
    _qualified(copy)
    column = copy.selects[place]
    there = _joined_by(copy, column, key)
    if there is None:
        there = f"t{len(_read(copy)) + 1}"
        beside = any(isinstance(e, exp.Column) for e in copy.selects if e is not column)
        grouped = copy.args.get("group") is not None
        on = exp.EQ(this=column.copy(), expression=_of(key.target, there))
        source = exp.alias_(named(key.target.table), there, table=True)
        kind = "LEFT" if beside and not grouped else "INNER"
        copy = copy.join(source, on=on, join_type=kind, copy=False)
    shown = [_of(name, there) for name in names]
    same = column.sql()
    copy.set("expressions", [*copy.selects[:place], *shown, *copy.selects[place + 1 :]])
    group, order = copy.args.get("group"), copy.args.get("order")
    if group is not None:
        others = [each for each in group.expressions if each.sql() != same]
        if len(others) < len(group.expressions):
            names_too = [_of(name, there) for name in names]
            group.set("expressions", [*others, _of(key.target, there), *names_too])
    for each in order.find_all(exp.Column) if order is not None else ():
        if each.sql() == same and each.parent_select is copy:
            each.replace(_of(key.target, there))
    return copy


def _qualified(tree: exp.Select) -> None:
    """Have a query of one table say of which its columns are."""
    sources = _read(tree)
    if len(sources) > 1 or not isinstance(sources[0], exp.Table) or sources[0].alias:
        return
    own = [c for c in tree.find_all(exp.Column) if c.parent_select is tree and not c.table]
    for column in own:
        column.set("table", exp.to_identifier("t1"))
    sources[0].replace(exp.alias_(sources[0].copy(), "t1", table=True))


def _joined_by(tree: exp.Select, column: exp.Expr, key: ForeignKey) -> str | None:
    """What the table that a key refers to is called, where it is joined by that key already."""
    for source in _read(tree):
        there = source.alias_or_name
        sides = {column.sql(), _of(key.target, there).sql()}
        joins = tree.args.get("joins") or []
        conditions = [e for join in joins for e in join.find_all(exp.EQ)]
        same = any({e.this.sql(), e.expression.sql()} == sides for e in conditions)
        if source.name == key.target.table.name and same:
            return there
    return None


def _of(column: Column, alias: str) -> exp.Column:
    return exp.column(identifier(column.name), table=alias)
