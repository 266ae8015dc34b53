"""From phrases to the logical form: which tables and columns, and how conditions hang together."""

from collections.abc import Iterator, Sequence

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    BUT,
    COMMA,
    COMMONEST,
    DIRECTION,
    EACH,
    EMPTY,
    FIGURE,
    FULL_STOP,
    HOW_MANY,
    LIKE,
    NOT,
    OR_MORE,
    SAME,
    SORTED,
    THAN,
)
from mcp_server.nl2sql.grammar.columns import (
    Choices,
)
from mcp_server.nl2sql.grammar.completing import (
    complete,
)
from mcp_server.nl2sql.grammar.conditions import add_condition
from mcp_server.nl2sql.grammar.cover import Cover
from mcp_server.nl2sql.grammar.draft import Draft
from mcp_server.nl2sql.grammar.nodes import (
    Absent,
    Beyond,
    BeyondRow,
    Bound,
    Called,
    Columns,
    Common,
    Count,
    Difference,
    Entity,
    Equal,
    Flag,
    Group,
    Held,
    HowMany,
    InBoth,
    Joint,
    Lasting,
    Limit,
    Match,
    Missing,
    Node,
    Nth,
    Numbered,
    Per,
    Product,
    Range,
    Rank,
    SameAs,
    Share,
    Show,
    Sort,
    Total,
    Under,
    Weighted,
)
from mcp_server.nl2sql.grammar.ordering import (
    add_common,
    add_group,
    add_how_many,
    add_per,
    add_rank,
    add_sort,
    skip_to_nth,
)
from mcp_server.nl2sql.grammar.showing import (
    add_arithmetic,
    add_called,
    add_computed,
    add_count,
    add_in_both,
    add_share,
    add_show,
    add_weighted,
    counts_rows,
    owner_of,
    speak_of,
)
from mcp_server.nl2sql.grammar.symbols import Symbol
from mcp_server.nl2sql.schema.display import name_of
from mcp_server.nl2sql.schema.inference import tells_apart
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.sql.logical import (
    Having,
)
from mcp_server.nl2sql.words.tokens import Token

MUST_SAY = (
    Beyond, BeyondRow, Bound, Called, Columns, Common, Equal, Flag, Held, HowMany, Match, Missing,
    Numbered, Per, Range, Rank, SameAs, Sort, Total, Under,
)  # fmt: skip
"""Phrases that are lost where they change nothing."""
TELLING = (
    FIGURE | COMMONEST | SORTED | THAN | DIRECTION | LIKE | NOT | EMPTY | HOW_MANY | SAME | OR_MORE
    | EACH
)  # fmt: skip
"""Symbols that say so."""

ITSELF = 0.65
"""What it says of a table that one of its rows is called so: the area of Ohio is a state's."""
GROUND_TRIES = 4
"""Close decisions that are tried the other way."""


def grounded(
    cover: Cover, symbols: Sequence[Symbol], tokens: Sequence[Token], graph: JoinGraph
) -> Iterator[Draft]:
    """Readings of a cover: the likeliest, then those with one close decision the other way."""
    choices = Choices()
    yield _read(cover, Draft(symbols, tokens, graph, choices))
    for swapped in range(min(choices.made, GROUND_TRIES)):
        yield _read(cover, Draft(symbols, tokens, graph, Choices(swapped)))


def _read(cover: Cover, draft: Draft) -> Draft:
    draft.lost.extend(cover.skipped)
    find_tables(draft, cover.nodes)
    draft.around.missing += _lacking(draft, cover.nodes)
    for number, (node, span) in enumerate(zip(cover.nodes, cover.spans, strict=True)):
        before = draft.state() if isinstance(node, MUST_SAY) else None
        take(draft, node, number, cover.nodes)
        if before is not None and draft.state() == before:
            draft.lost += [at for at in range(*span) if draft.symbols[at].kind in TELLING]
        if not isinstance(node, Joint | Entity):
            draft.joint = ""
        if isinstance(node, Joint) and _lists_after(draft, span[-1]):
            draft.listed_from = len(draft.query.select)
    draft.close_absence()
    if draft.limit is not None:
        draft.lost.append(draft.limit)
    complete(draft, cover.nodes)
    skip_to_nth(draft)
    return draft


def _lacking(draft: Draft, nodes: Sequence[Node]) -> Iterator[Column]:
    """The columns that rows are to lack, as far as one name says which."""
    for node in nodes:
        ref = draft.symbols[node.at].ref if isinstance(node, Missing) else None
        if ref is not None and not getattr(node, "negated", False):
            best = [column for column, score in ref.columns if score == ref.best_column]
            yield from best if len(best) == 1 else ()


def _lists_after(draft: Draft, end: int) -> bool:
    """Whether a sentence ends, and the next one says what to show: `Return the name and ...`."""
    symbols = draft.symbols
    if not 0 < end < len(symbols) or symbols[end - 1].kind not in FULL_STOP:
        return False
    return "return" in {token.lemma for token in draft.tokens[symbols[end - 1].end :][:1]}


def find_tables(draft: Draft, nodes: Sequence[Node]) -> None:
    """The tables that are spoken of, and the one whose rows are asked for."""
    around = draft.around
    for node in nodes:
        around.measured += measured_tables(draft, node)
        at = table_place(node)
        table = around.table(draft.symbols[at]) if at is not None else None
        if isinstance(node, Count) and at is not None and table is None:
            ref = draft.symbols[at].ref
            table = ref.values[0][0].table if ref is not None and ref.values else None
        if at is not None and table is not None:
            draft.entities[at] = table
            if isinstance(node, Absent):
                continue
            around.spoken_of.append(table)
            asked = isinstance(node, Entity) or (
                isinstance(node, Count | Share) and counts_rows(draft, at)
            )
            if around.subject is None and asked:
                around.subject = table
    if around.subject is None:
        around.subject = find_subject(draft, nodes)


def measured_tables(draft: Draft, node: Node) -> list[Table]:
    """The table of the column that a phrase measures, where no other has one so called."""
    at = getattr(node, "at", None)
    ref = draft.symbols[at].ref if at is not None and getattr(node, "aggregate", None) else None
    best = [c.table for c, score in ref.columns if score == ref.best_column] if ref else []
    return best if len(best) == 1 else []


def find_subject(draft: Draft, nodes: Sequence[Node]) -> Table | None:
    """Decide what the question is about."""
    if draft.around.spoken_of:
        first = next((n for n in nodes if isinstance(n, Show | Count | Sort)), None)
        ref = draft.symbols[first.at].ref if first and first.at is not None else None
        if ref is not None and ref.columns and not isinstance(first, Sort):
            tables = [
                column.table for column, score in ref.columns if score > ref.best_column - 0.1
            ]
            return next((t for t in draft.around.spoken_of if t in tables), tables[0])
        return draft.around.spoken_of[0]
    best: dict[Table, float] = {}
    for symbol in draft.symbols:
        if symbol.ref is None:
            continue
        weights: dict[Table, float] = {}
        for column, score in symbol.ref.columns:
            weights[column.table] = max(weights.get(column.table, 0.0), score)
        for column, _ in symbol.ref.values:
            itself = column is name_of(column.table) and tells_apart(column)
            weight = ITSELF if itself else 0.5
            weights[column.table] = max(weights.get(column.table, 0.0), weight)
        for table, weight in weights.items():
            best[table] = best.get(table, 0.0) + weight
    return max(best, key=lambda table: best[table]) if best else None


def take(draft: Draft, node: Node, number: int, nodes: Sequence[Node]) -> None:
    """Put a phrase into the draft."""
    match node:
        case Joint(kind=kind):
            draft.joint = kind if kind not in COMMA or not draft.joint else draft.joint
            if kind in BUT | FULL_STOP:
                draft.close_absence()
        case Show():
            add_show(draft, node, owner_of(draft, number, nodes))
        case Count():
            add_count(draft, node, owner_of(draft, number, nodes))
        case Share():
            add_share(draft, node)
        case Limit(count):
            draft.limit = count
        case Nth(at):
            draft.nth = at
        case InBoth():
            add_in_both(draft, node)
        case Lasting() | Product():
            add_computed(draft, node, owner_of(draft, number, nodes))
        case Weighted():
            add_weighted(draft, node, owner_of(draft, number, nodes))
        case Difference():
            add_arithmetic(draft, node, owner_of(draft, number, nodes))
        case Entity():
            speak_of(draft, node)
        case Group():
            add_group(draft, node, owner_of(draft, number, nodes))
        case Called():
            add_called(draft, node)
        case Per():
            add_per(draft, node)
        case Rank():
            add_rank(draft, node, number, nodes)
        case Common():
            add_common(draft, node)
        case Sort():
            add_sort(draft, node)
        case HowMany():
            add_how_many(draft, node)
        case Total():
            column = draft.column(node.at, numeric=True)
            if column is not None:
                value = draft.value(node.value)
                draft.query.having.append(Having(node.operator, value, node.aggregate, column))
        case Absent():
            draft.close_absence()
            table = draft.entities.get(node.at)
            if table is not None and table is not draft.around.subject:
                draft.absent = (table, [])
                draft.focus = table
            else:
                draft.negating, draft.denied_from = True, len(draft.query.where)
        case _:
            add_condition(draft, node)


def table_place(node: Node) -> int | None:
    """The place of a phrase that names a table; None for any other."""
    match node:
        case Entity(at) | Absent(at) | Share(at) | Called(at):
            return at
        case Count(at=at) | Group(at=at) | HowMany(at=at) | Sort(at=at) | Common(at=at):
            return at
        case Rank(at=at):
            return at
        case Bound(at=at):
            return at
        case _:
            return None
