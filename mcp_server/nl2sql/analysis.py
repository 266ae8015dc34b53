"""All rules in their order: from a linked question to the logical form."""

from itertools import pairwise

from mcp_server.nl2sql import (
    rules_absence,
    rules_filter,
    rules_flags,
    rules_group,
    rules_nested,
    rules_order,
    rules_select,
    rules_value,
    settle,
)
from mcp_server.nl2sql.logical import AnyOf, Compare, Condition, Linked, Output
from mcp_server.nl2sql.profile_model import Column, Table
from mcp_server.nl2sql.question import Question, letters

STRONG_MENTION = 0.85


def analyse(question: Question) -> None:
    """Fill `question.query`."""
    query = question.query
    rules_order.order_by(question)
    rules_group.groups(question)
    rules_filter.averages(question)
    rules_nested.nested(question)
    rules_group.having(question)
    rules_order.superlatives(question)
    rules_nested.counts_beside(question)
    query.where += rules_flags.flags(question)
    rules_select.aggregates(question)
    missing = rules_absence.absent(question)
    query.where += rules_filter.comparisons(question)
    query.where += rules_value.values(question)
    _settle_alternatives(question)
    rules_select.everything(question)
    if not any(output.column is None and output.aggregate is None for output in query.select):
        rules_select.columns(question)
    query.subject = question.subject
    if missing is not None:
        _attach_missing(question, missing)
    _drop_constants(question)
    rules_select.fallback(question)
    _settle_subject(question)
    _settle_both(question)
    _settle_groups(question)
    settle.negated_values(question)
    _settle_mentions(question)
    settle.superlative_rows(question)
    settle.contradictions(question)
    settle.differing_values(question)


def _settle_alternatives(question: Question) -> None:
    """Conditions with `or` between them; and two values of one column, which none has at once."""
    query = question.query
    words = [item.token.lemma for item in question.items]
    placed = sorted(
        (question.places[id(c)], i) for i, c in enumerate(query.where) if id(c) in question.places
    )
    merged: dict[int, int] = {}
    for ((_, end), one), ((start, _), other) in pairwise(placed):
        between = words[end:start]
        if "or" in between and len(between) <= 5:
            merged[other] = merged.get(one, one)
    for other in sorted(merged, reverse=True):
        one = merged[other]
        query.where[one] = AnyOf((*_alternatives(query.where[one]), query.where[other]))
    for other in sorted(merged, reverse=True):
        del query.where[other]
    equal: dict[Column, int] = {}
    kept: list[Condition] = []
    for condition in query.where:
        if isinstance(condition, Compare) and condition.operator == "=":
            at = equal.setdefault(condition.column, len(kept))
            if at < len(kept) and "both" not in question.notes:
                kept[at] = AnyOf((*_alternatives(kept[at]), condition))
                continue
        kept.append(condition)
    query.where = kept


def _alternatives(condition: Condition) -> tuple[Condition, ...]:
    return condition.conditions if isinstance(condition, AnyOf) else (condition,)


def _speaks_of(question: Question, condition: Condition, table: Table) -> bool:
    """Whether a condition is on a table, or on a key to it: `from airport X` needs no airport."""
    match condition:
        case AnyOf(conditions):
            return any(_speaks_of(question, each, table) for each in conditions)
        case Linked():
            return _covers(question, condition, table)
        case _:
            column = condition.column
            return column.table is table or any(
                key.column is column for key in question.graph.keys_between(column.table, table)
            )


def _drop_constants(question: Question) -> None:
    """A column that is compared with a value was named for that, and is the same in every row."""
    query = question.query
    compared = {
        c.column for c in query.where if isinstance(c, Compare) and c.operator in ("=", "<>")
    }
    for condition in query.where:
        if isinstance(condition, AnyOf) and "both" not in question.notes:
            compared |= {c.column for c in condition.conditions if isinstance(c, Compare)}
    if any(output.aggregate for output in query.select) and not query.group:
        compared |= {c.column for c in query.where if isinstance(c, Compare)}
    query.select = [
        output
        for output in query.select
        if output.aggregate
        or output.column not in compared
        or output.column.primary
        or _is_listed(question, output.column)
    ]


def _is_listed(question: Question, column: Column) -> bool:
    """Whether a column is asked for beside others: `the name, role and age of the one named X`."""
    places = [i for i in question.selected if question.chosen.get(i) is column]
    words = [item.token.lemma for item in question.items]
    return any(
        place + 1 < len(words)
        and (words[place + 1] in (",", "and") or (place and words[place - 1] in (",", "and")))
        and len(question.query.select) > 1
        for place in places
    ) and not any(output.aggregate for output in question.query.select)


def _attach_missing(question: Question, missing: Linked) -> None:
    query = question.query
    shown = [output.column.table for output in query.select if output.column is not None]
    shown += [output.table for output in query.select if output.table is not None]
    if shown and shown[0] is not missing.table:
        query.subject = shown[0]
    elif query.subject is missing.table:
        others = [table for table in question.mentioned if table is not missing.table]
        query.subject = others[0] if others else query.subject
    query.where.append(missing)


def _settle_subject(question: Question) -> None:
    """A table that only words the question is left out where its key alone would be used."""
    query = question.query
    if query.select and all(o.aggregate is None for o in query.select):
        shown = {output.column.table for output in query.select if output.column is not None}
        if query.subject is not None and query.subject not in shown and len(shown) == 1:
            (only,) = shown
            if question.graph.distance(query.subject, only) > 3:
                query.subject = only


def _settle_both(question: Question) -> None:
    """`both A and B`: one row cannot be both, so rows of it are looked for twice."""
    query = question.query
    if "both" not in question.notes:
        return
    for condition in list(query.where):
        if not isinstance(condition, AnyOf):
            continue
        first = condition.conditions[0]
        if not isinstance(first, Compare):
            continue
        table = first.column.table
        subject = query.select[0].column.table if query.select and query.select[0].column else None
        subject = subject or query.subject
        if subject is not None and table is not subject:
            query.subject = subject
            query.where = [each for each in query.where if each is not condition]
            query.where += [Linked(table, (each,)) for each in condition.conditions]
        elif subject is table and not any(output.aggregate for output in query.select):
            settle.both_values(query, condition)
            return


def _settle_groups(question: Question) -> None:
    """What a group is shown by, where the question does not say."""
    query = question.query
    aggregated = [output for output in query.select if output.aggregate]
    plain = [output for output in query.select if not output.aggregate]
    if query.group or query.group_tables:
        if aggregated and not plain:
            for column in query.group:
                query.select.append(Output(column))
            for table in query.group_tables:
                query.select += [Output(column) for column in rules_select.display(table)]
        if not aggregated and not query.order and not query.having and not query.limit:
            query.group.clear()
            query.group_tables.clear()
    counted = next((output.table for output in aggregated if output.table is not None), None)
    if plain and counted is not None and plain[0].column is not None:
        owner = plain[0].column.table
        if owner is not counted and owner not in query.group_tables and not query.group:
            query.group_tables.append(owner)


def _settle_mentions(question: Question) -> None:
    """Tables that the question names and no rule has used: rows of them must exist."""
    query = question.query
    used = set()
    for output in query.select:
        used.add(output.column.table if output.column is not None else output.table)
    used.update(query.group_tables)
    used.update(column.table for column in query.group)
    for item in question.items:
        if item.used or item.ref is None or "t" not in letters(item):
            continue
        item.used = True
        table, score = item.ref.tables[0]
        if score < STRONG_MENTION or table in used or table is query.subject:
            continue
        if any(_speaks_of(question, each, table) for each in query.where):
            continue
        if query.subject is not None and question.graph.path(query.subject, table) is not None:
            query.where.append(Linked(table))
            question.doubt += 0.02


def _covers(question: Question, linked: Linked, table: Table) -> bool:
    """Whether a condition on linked rows speaks of a table, or passes through it."""
    if linked.table is table:
        return True
    subject = question.query.subject
    path = question.graph.path(subject, linked.table) if subject is not None else None
    return any(table in (key.column.table, key.target.table) for key in path or ())
