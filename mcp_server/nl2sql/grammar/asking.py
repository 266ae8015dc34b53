"""What is shown: where a question does not say, and where what it says is something else."""

from collections.abc import Sequence

from mcp_server.nl2sql.grammar.alphabet.kinds import COMMONEST, MOST
from mcp_server.nl2sql.grammar.draft import Draft
from mcp_server.nl2sql.grammar.nodes import Joint, Node, Nth, Rank
from mcp_server.nl2sql.schema.display import are_people, name_of, shown
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.sql.logical import Compare, Nested, Output, Query
from mcp_server.nl2sql.words.tokens import lemma, stem

RANKING = MOST | COMMONEST
PLACES = (
    "location", "place", "venue", "address", "hometown", "city", "town", "county", "district",
    "state", "province", "region", "country", "nation", "continent",
)  # fmt: skip
"""Words of columns that say where something is, the nearest first."""
EVERYTHING = frozenset({"information", "info", "detail", "data", "everything"})
"""Words that ask for all columns."""


def displayed(draft: Draft, subject: Table) -> list[Column | None]:
    """What is shown where nothing is asked for by name; None for everything."""
    said = {token.lemma for token in draft.tokens[:8]}
    if said & EVERYTHING:
        return [None]
    first = draft.tokens[0].lemma if draft.tokens else ""
    if first == "when":
        dates = [
            c
            for c in subject.columns
            if c.kind is Kind.DATE or c.year_like or {"date", "year"} & set(c.words)
        ]
        stems = {stem(token.text) for token in draft.tokens}
        dates.sort(key=lambda c: -len({stem(word) for word in c.words} & stems))
        if dates:
            return [*dates[:1]]
    if first == "where":
        own = name_of(subject)
        places = [c for c in subject.columns if c is not own and not (c.foreign and c.counts)]
        for place in PLACES:
            found = [c for c in places if place in c.words]
            if found:
                return [*found[:1]]
    fixed = {c.column for c in draft.query.where if isinstance(c, Compare) and c.operator == "="}
    key = subject.key
    return [None] if key in fixed and key is not None and key.counts else list(shown(subject))


def ask_for_people(draft: Draft, query: Query) -> None:
    """`Who works in the harbour branch` asks for members, which are the people beside branches."""
    subject, first = query.subject, draft.tokens[:1]
    asked = bool(first) and first[0].lemma == "who" and not (query.select or query.computed)
    ranked = any(o.aggregate or not o.column or o.column.table is not subject for o in query.order)
    if not asked or subject is None or are_people(subject) or ranked or query.group:
        return
    people = _people_beside(draft, [subject])
    if not people:  # the experts for a line: by what ties people to lines
        told = [c.column.table for c in query.where if isinstance(c, Compare)]
        people = _people_beside(draft, [t for t in told if draft.graph.keys_between(t, subject)])
    if query.order:
        people = [table for table in people if draft.graph.single(subject, table)]
    if len(people) == 1:
        query.subject = draft.around.subject = people[0]


def _people_beside(draft: Draft, tables: Sequence[Table]) -> list[Table]:
    between = draft.graph.keys_between
    found = [t for t in draft.graph.tables if any(between(t, each) for each in tables)]
    return [table for table in found if are_people(table)]


def show_what_is_ranked(draft: Draft, query: Query, nodes: Sequence[Node]) -> None:
    """`The lowest price of the signed books`, `the top 3 prices`: what is ranked is asked for."""
    first = next((node for node in nodes if not isinstance(node, Joint | Nth)), None)
    if query.select or not query.order or not isinstance(first, Rank) or first.at is None:
        return
    order, ref = query.order[0], draft.symbols[first.at].ref
    named = ref is not None and any(
        column is order.column and score >= ref.best_table for column, score in ref.columns
    )
    if not named or order.aggregate or first.relative:
        return
    if query.limit == 1 and draft.nth is None:
        query.select.append(Output(order.column, "max" if order.descending else "min"))
        query.order, query.limit = [], None
    elif not draft.existing:
        query.select.append(Output(order.column))


def show_referred(draft: Draft, query: Query) -> None:
    """The manager of somebody: not the number of a row, but the row that has it."""
    outputs = [output for _, output in draft.shows]
    if len(query.select) != 1 or len(outputs) != 1 or query.order or query.group or query.having:
        return
    (at, output), column = draft.shows[0], outputs[0].column
    numbered = {"id", "number", "code"} & {lemma(w) for w in draft.symbols[at].text.split()}
    plain = all(isinstance(c, Compare) and c.column.table is query.subject for c in query.where)
    if column is None or column.within is None or output.aggregate or numbered or not plain:
        return
    query.select = [Output(each) for each in shown(column.table)]
    query.where = [Compare(column.within, "=", Nested(None, column, tuple(query.where)))]


def drop_constants(draft: Draft, query: Query) -> None:
    """A column that is held equal to a value is not shown, unless another query is combined."""
    if query.combine is not None:
        return
    fixed = {c.column for c in query.where if isinstance(c, Compare) and c.operator == "="}
    kept = [
        o
        for o in query.select
        if o.aggregate or o.column not in fixed or (o.column and o.column.primary)
    ]
    if kept or not query.select:
        query.select = kept
    told = {o.column for o in query.select if not o.aggregate}
    query.select = [
        o
        for o in dict.fromkeys(query.select)
        if o.aggregate or o.column is None or not draft.graph.targets(o.column) & told
    ]


def drop_counts_of_one(draft: Draft, query: Query) -> None:
    """Of each row there is one: the most of something else was meant."""
    if query.select or query.group or query.group_tables or query.periods or query.computed:
        return
    kept = [o for o in query.order if o.aggregate != "count" or o.table is not query.subject]
    if len(kept) < len(query.order):
        query.order, query.limit = kept, None
        draft.lost += [at for at, symbol in enumerate(draft.symbols) if symbol.kind in RANKING]
