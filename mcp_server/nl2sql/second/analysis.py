"""From atoms to the logical form, by the clauses in their order."""

from collections.abc import Sequence

from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.linking import Linker
from mcp_server.nl2sql.logical import AnyOf, Compare, Linked, Order, Output, Query
from mcp_server.nl2sql.profile_model import Kind, Table
from mcp_server.nl2sql.second.atoms import Text, read, shown
from mcp_server.nl2sql.second.projection import Rest
from mcp_server.nl2sql.tokens import Token


def analyse(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> Rest:
    """The reading of a question; its `query` is complete."""
    text = read(tokens, linker, graph)
    rest = Rest(text)
    text.subject = _subject(text)
    rest.order_by()
    rest.nested()
    rest.having()
    rest.superlatives()
    rest.comparisons()
    rest.alternatives()
    rest.absence()
    rest.groups()
    rest.values()
    rest.projection()
    _one_table(rest)
    _complete(rest)
    return rest


def _subject(text: Text) -> Table | None:
    for index, atom in enumerate(text.atoms):
        if atom.kind == "C" and atom.ref is not None and atom.ref.best_column > 0.9:
            before = {a.token.lemma for a in text.atoms[:index]}
            if before <= {
                "what",
                "be",
                "the",
                "show",
                "find",
                "list",
                "give",
                "return",
                "me",
                "all",
                "which",
                "different",
                "distinct",
            }:
                table = text.owner(index)
                if table is not None:
                    return table
        if atom.kind in ("T", "B", "W") and atom.ref is not None:
            table, score = atom.ref.tables[0]
            column = atom.ref.best_column
            if score >= 0.75 and (score >= column or atom.kind == "T"):
                return table
    if text.near:
        return text.near[0]
    for atom in text.atoms:
        if atom.ref is not None and atom.ref.columns:
            return atom.ref.columns[0][0].table
    for atom in text.atoms:
        if atom.ref is not None and atom.ref.values:
            return atom.ref.values[0][0].table
    return None


def _complete(rest: Rest) -> None:
    query, text = rest.query, rest.text
    plain = [o for o in query.select if o.aggregate is None]
    counted = [o for o in query.select if o.aggregate]
    subject = text.subject
    if (query.group and not plain and not (query.order and not counted)) or (
        query.group and not query.select
    ):
        query.select += [Output(c) for c in query.group]
    if query.group_tables and not plain:
        for table in query.group_tables:
            query.select += [Output(c) for c in shown(table)]
    # no aggregate in a grouping: the grouping word was only `each`
    if (
        (query.group or query.group_tables)
        and not counted
        and not query.having
        and not any(o.aggregate for o in query.order)
    ):
        query.select[:0] = [
            Output(c) for c in query.group if all(o.column is not c for o in query.select)
        ]
        query.group.clear()
        query.group_tables.clear()
    if (
        not query.select
        and subject is not None
        and text.atoms
        and text.atoms[0].token.lemma == "when"
    ):
        dates = [c for c in subject.columns if c.kind is Kind.DATE or "date" in c.words]
        query.select += [Output(c) for c in dates[:1]]
    if not query.select and subject is not None:
        query.select += [Output(c) for c in shown(subject)]
    plain = [o for o in query.select if o.aggregate is None]
    if plain and counted and not query.group and not query.group_tables:
        first = plain[0].column
        tables = {o.table for o in counted if o.table is not None}
        if first is not None and tables and first.table not in tables:
            query.group_tables.append(first.table)
    if plain and not any(o.aggregate for o in query.select):
        tables = {o.column.table for o in plain if o.column is not None}
        if subject is not None and subject not in tables:
            first = plain[0].column
            if (
                first is not None
                and any(
                    k.target.table is subject for k in text.graph.keys_between(first.table, subject)
                )
                and subject is not first.table
            ):
                subject = first.table if not rest.flags & {"named_table"} else subject
    query.subject = subject
    if (
        "order_first" in rest.flags
        and query.order
        and query.order[0].column is None
        and query.order[0].aggregate is None
    ):
        leading = query.select[0]
        query.order[0] = Order(
            query.order[0].descending,
            column=leading.column,
            aggregate=leading.aggregate,
            table=leading.table,
        )
    _both(rest)
    _constants(rest)
    _mentions(rest)


def _one_table(rest: Rest) -> None:
    """Columns that are listed together are of one table where one has them all."""
    select, text = rest.query.select, rest.text
    outputs = [o for o in select if o.aggregate is None and o.column is not None]
    if len({o.column.table for o in outputs if o.column}) < 2:
        return
    if any(id(o) not in rest.named for o in outputs):
        return
    refs = [text.ref(rest.named[id(o)]) for o in outputs]
    for table in text.linker.profile.tables:
        chosen = []
        for output, ref in zip(outputs, refs, strict=True):
            top = ref.best_column
            fit = [c for c, score in ref.columns if c.table is table and score >= top - 0.05]
            if not fit or (
                output.column is not None
                and text.owner(int(rest.named[id(output)][1:])) not in (None, table)
            ):
                break
            chosen.append(fit[0])
        if len(chosen) == len(outputs):
            for output, column in zip(outputs, chosen, strict=True):
                select[select.index(output)] = Output(column)
            rest.text.subject = table
            return


def _both(rest: Rest) -> None:
    query = rest.query
    if "both" not in rest.flags:
        return
    for condition in list(query.where):
        if not isinstance(condition, AnyOf):
            continue
        first = condition.conditions[0]
        if not isinstance(first, Compare) or not query.select or query.select[0].column is None:
            continue
        table = first.column.table
        owner = query.select[0].column.table
        query.where.remove(condition)
        if owner is table:
            base = list(query.where)
            query.where = [*base, condition.conditions[0]]
            query.combine = (
                "intersect",
                Query(
                    subject=query.subject,
                    select=list(query.select),
                    where=[*base, condition.conditions[1]],
                ),
            )
        else:
            query.subject = owner
            query.where += [Linked(table, (each,)) for each in condition.conditions]
        return


def _constants(rest: Rest) -> None:
    """A column held equal to a value is not shown."""
    query = rest.query
    fixed = {c.column for c in query.where if isinstance(c, Compare) and c.operator == "="}
    kept = [
        o
        for o in query.select
        if o.aggregate or o.column not in fixed or (o.column is not None and o.column.primary)
    ]
    if not kept and query.subject is not None and rest.text.atoms[0].token.lemma == "when":
        dates = [c for c in query.subject.columns if c.kind is Kind.DATE or "date" in c.words]
        kept = [Output(c) for c in dates[:1]]
    if kept:
        query.select = kept


def _mentions(rest: Rest) -> None:
    """Tables that are named and have no part yet: their rows must exist."""
    query, text = rest.query, rest.text
    query.select = list(dict.fromkeys(query.select))
    if any(isinstance(c, Linked) and c.negated for c in query.where):
        return
    used = {o.column.table if o.column is not None else o.table for o in query.select}
    used |= {c.table for c in query.group} | set(query.group_tables) | {query.subject}
    for condition in query.where:
        if isinstance(condition, Linked):
            used.add(condition.table)
        elif hasattr(condition, "column"):
            used.add(condition.column.table)
            used |= {
                key.target.table
                for key in text.linker.profile.foreign_keys
                if key.column is condition.column
            }
        elif isinstance(condition, AnyOf):
            used |= {c.column.table for c in condition.conditions if hasattr(c, "column")}
    for h in query.having:
        used.add(h.column.table if h.column is not None else h.table)
    for o in query.order:
        used.add(o.column.table if o.column is not None else o.table)
    for atom in text.atoms:
        if atom.kind == "T" and atom.ref is not None and atom.ref.tables[0][1] >= 0.85:
            table = atom.ref.tables[0][0]
            if table in used:
                atom.used = True
                continue
            atom.used = True
            if query.subject is not None and text.graph.path(query.subject, table):
                # a table that the subject refers to always has a row
                key = list(text.graph.keys_between(query.subject, table))
                if key and all(k.target.table is table for k in key):
                    continue
                if len(text.graph.path(query.subject, table) or []) <= 2 and not query.limit:
                    query.where.append(Linked(table))
                    used.add(table)
