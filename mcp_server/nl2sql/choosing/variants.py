"""Plain variants of a query, in what questions leave open: DISTINCT, groups, keys, full names."""

from collections.abc import Iterator, Sequence

from sqlglot import exp

from mcp_server.nl2sql.choosing.naming import Heard
from mcp_server.nl2sql.schema.model import Column, Profile
from mcp_server.nl2sql.words.tokens import Token, identifier_words
from mcp_server.nl2sql.words.ways import way_of


def variants(
    tree: exp.Query, tokens: Sequence[Token], profile: Profile
) -> Iterator[tuple[str, exp.Query]]:
    """The query, and what it is in conventions that questions leave open."""
    tree = _by_heard_keys(tree, tokens, profile, ways_only=True) or tree
    yield "", tree
    rejoined = _by_heard_keys(tree, tokens, profile)
    if rejoined is not None:
        yield "by another key", rejoined
    if not isinstance(tree, exp.Select):
        return
    bare = _without_existence(tree)
    if bare is not None:
        yield "without existence", bare
    coarse = _grouped_by_shown(tree)
    if coarse is not None:
        yield "grouped by what is shown", coarse
    if tree.args.get("group") or tree.args.get("limit"):
        return
    if any(e.find(exp.AggFunc) for e in tree.expressions):
        return
    copy = tree.copy()
    if copy.args.get("distinct") is not None:
        copy.set("distinct", None)
        yield "without distinct", copy
    elif not tree.args.get("order"):
        yield "with distinct", copy.distinct()


def _grouped_by_shown(tree: exp.Select) -> exp.Select | None:
    """Groups by the columns that are shown alone, without the key of the thing that has them."""
    group = tree.args.get("group")
    shown = {e.sql() for e in tree.expressions if isinstance(e, exp.Column)}
    if group is None or not shown:
        return None
    kept = [e.copy() for e in group.expressions if e.sql() in shown]
    if len(kept) != len(shown) or len(kept) == len(group.expressions):
        return None
    copy = tree.copy()
    copy.set("group", exp.Group(expressions=kept))
    return copy


def _counting_rows(tree: exp.Select) -> exp.Select | None:
    """count(*) for the count of distinct keys over a join."""
    copy = tree.copy()
    for count in copy.find_all(exp.Count):
        if isinstance(count.this, exp.Distinct) and count.parent_select is copy:
            count.set("this", exp.Star())
            return copy
    return None


def _without_existence(tree: exp.Select) -> exp.Select | None:
    """The query less conditions that only ask whether there are rows of another table."""
    where = tree.args.get("where")
    if where is None:
        return None
    parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    kept = [part for part in parts if not _is_existence(part)]
    if len(kept) == len(parts):
        return None
    copy = tree.copy()
    copy.set("where", exp.Where(this=exp.and_(*(part.copy() for part in kept))) if kept else None)
    return copy


def _is_existence(part: exp.Expr) -> bool:
    if not isinstance(part, exp.In):
        return False
    inner = part.find(exp.Select)
    return inner is not None and not any(
        inner.args.get(n) for n in ("where", "having", "group", "limit")
    )


def _by_heard_keys(
    tree: exp.Query, tokens: Sequence[Token], profile: Profile, *, ways_only: bool = False
) -> exp.Query | None:
    """The query with the keys that the question speaks of, where several lead to one table.

    `reported by` asks for a column `reported_by_id` rather than `closed_by_id`. ways_only: go by
    where things come from and go to, and not by other words.
    """
    heard = Heard(tokens)
    keys: dict[tuple[str, str], list[Column]] = {}
    target = {}
    for key in profile.foreign_keys:
        pair = key.column.table.name, key.target.table.name
        keys.setdefault(pair, []).append(key.column)
        target[pair[0], key.column.name] = key.target
    if all(len(rivals) < 2 for rivals in keys.values()):
        return None
    copy = tree.copy()
    changed = False
    used = [(_table_of(column), column.name) for column in copy.find_all(exp.Column)]
    for column in copy.find_all(exp.Column):
        table = _table_of(column)
        if (table, column.name) not in target:
            continue
        aimed = target[table, column.name].table
        if len({n for t, n in used if t == table and (t, n) in target
                and target[t, n].table is aimed}) > 1:  # fmt: skip
            continue  # each has its part in it
        aim = target[table, column.name]
        common = {*aim.words, *aim.table.words, *identifier_words(table)}

        def said(key: Column, common: set[str] = common) -> int:
            if ways_only:
                return way_of(key.name, tokens)
            words = sum(heard.word(word) for word in key.words if word not in common)
            return 2 * words + way_of(key.name, tokens)

        same = keys[table, aim.table.name]
        now = next(other for other in same if other.name == column.name)
        best = max(same, key=said)
        if said(best) > said(now):
            column.set("this", exp.to_identifier(best.name, quoted=column.this.args.get("quoted")))
            changed = True
    return copy if changed else None


def _table_of(column: exp.Column) -> str:
    select = column.parent_select
    if select is None:
        return ""
    named = {
        table.alias_or_name: table.name
        for table in select.find_all(exp.Table)
        if table.parent_select is select
    }
    return named.get(column.table, "") if column.table else next(iter(named.values()), "")
