"""What a question says and a query has no part of: the query is doubtful, however likely."""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from sqlglot import exp

from mcp_server.nl2sql.linking.linking import Ref
from mcp_server.nl2sql.linking.matching import SURELY
from mcp_server.nl2sql.schema.display import full_name
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Kind, Profile, Table
from mcp_server.nl2sql.words.tokens import Token, identifier_words, lemma

ASKING = frozenset({"which", "what", "list", "show", "find", "give", "name"})
BEFORE_A_NOUN = ASKING | {"many", "the", "all", "any", "every", "each", "our", "my", "me"}
MEASURED = (exp.AggFunc, exp.Window, exp.Group, exp.Div)
SINCE = frozenset({"since", "from", "until", "till", "to"})
"""What makes a day of whatever stands beside it."""
_MOST_THINGS = re.compile(
    r"\b(most|fewest) (?!(?:recent|late|early|new|old|modern|ancient|up-to)|[a-z]+ly\b)[a-z]",
    re.IGNORECASE,
)
_HOW_MUCH = re.compile(r"\A(?:and |so )?(?P<much>how much)\b", re.IGNORECASE)
_PER = re.compile(r"(?P<before>\w+) (?P<per>per) (?P<behind>\w+)", re.IGNORECASE)
_EACH = re.compile(r"\b(?:per|by|each|every) (.+)", re.IGNORECASE)
_SUBJECT = re.compile(
    r"\b(?:do|does|did|is|was|has|had|can|will) (?P<it>it|they|he|she)\b"
    r"(?! (?:take|cost|rain|snow|possible|true|that)\b)",
    re.IGNORECASE,
)
_MAY = re.compile(r"\bcan (?:we|you|i|they) (?P<do>\w+)[\s.?!]*\Z", re.IGNORECASE)
_WHEN = re.compile(r"\b(?:when|dates?|days?|times?|years?|months?|since|how long)\b", re.IGNORECASE)


class Said:
    """What a question says, to be looked for in each of its queries. text: as it is read."""

    def __init__(
        self,
        text: str,
        tokens: Sequence[Token],
        refs: Sequence[Ref],
        known: Profile,
        graph: JoinGraph,
    ) -> None:
        self._text, self._tokens, self._refs, self._graph = text, tokens, refs, graph
        self._lemmas = {token.lemma for token in tokens}
        self._tables = {table.name: table for table in known.tables}
        self._targets = {key.column: key.target.table for key in known.foreign_keys}
        self._days = {column.name for column in known.columns if column.kind is Kind.DATE}
        self._numbers = {c.name for c in known.columns if c.counts and not c.primary}

    def left_out(self, tree: exp.Query, unused: Sequence[str]) -> tuple[str, ...]:
        """Words of the question that a query has no part of. unused: those not understood."""
        columns = [self._column(tree, shown) for shown in tree.selects]
        found = [
            *self._unread(tree),
            *(text for text in self._saying_which if text in unused),
            *self._nobody(tree, columns),
            *self._undone(unused),
            *self._not_counted(tree),
            *self._no_amount(tree),
            *self._not_shown(tree, columns),
            *self._no_groups(tree),
            *self._measure_of_each(tree),
            *self._unheard_day(columns),
            *(match["do"] for match in _MAY.finditer(self._text) if match["do"] in unused),
            *(match["it"] for match in _SUBJECT.finditer(self._text)),
        ]
        return tuple(dict.fromkeys(found))

    @cached_property
    def _named_tables(self) -> dict[str, Table]:
        """Words of the question that are the name of a table, and of nothing else."""
        return {
            ref.text: ref.tables[0][0]
            for ref in self._refs
            if ref.tables and ref.best_table >= SURELY > ref.best_column and not ref.values
        }

    @cached_property
    def _saying_which(self) -> list[str]:
        """Words right before what rows are called, at its beginning: the *rusty* boats. What leaves
        one out is about other rows.
        """
        starts = {r.start for r in self._refs if r.best_table >= SURELY or r.values}
        return [
            token.text
            for at, token in enumerate(self._tokens)
            if at + 1 in starts and (not at or self._tokens[at - 1].lemma in BEFORE_A_NOUN)
        ]

    @cached_property
    def _asked(self) -> tuple[str, Table] | None:
        """The table whose rows a question asks for with `which`, behind values that they have."""
        if not self._tokens or self._tokens[0].lemma != "which":
            return None
        end = 1
        for ref in self._refs:
            if ref.start != end:
                return None
            surely = [table for table, score in ref.tables if score >= SURELY]
            called = (c for c, score in ref.columns if score >= SURELY and c.kind is not Kind.DATE)
            if len(surely) == 1 and not ref.values and next(called, None) is None:
                return ref.text, surely[0]
            if not ref.values:
                return None
            end = ref.end
        return None

    def _column(self, tree: exp.Query, shown: exp.Expr) -> Column | None:
        """The column of a table that is shown as it is."""
        column = shown.unalias()
        if not isinstance(column, exp.Column):
            return None
        names = {table.alias_or_name: table.name for table in tree.find_all(exp.Table)}
        table = self._tables.get(names.get(column.table, next(iter(names.values()), "")))
        return table.column(column.name) if table is not None else None

    def _unread(self, tree: exp.Query) -> Iterator[str]:
        """Tables that are named and that a query neither reads nor has a key to."""
        read = {table.name for table in tree.find_all(exp.Table)}
        reading = [table for table in self._graph.tables if table.name in read]
        read |= {key.target.table.name for each in reading for key in self._graph.keys_of(each)}
        said = {word for c in tree.find_all(exp.Column) for word in identifier_words(c.name)}
        said |= {word for name in read for word in identifier_words(name)}
        for text, table in self._named_tables.items():
            if table.name not in read and not said & set(table.words):
                yield text

    def _nobody(self, tree: exp.Query, columns: Sequence[Column | None]) -> Iterator[str]:
        """The `who` that a question begins with, where a query shows numbers, days or keys alone,
        and the names of those are known.
        """
        if not self._tokens or self._tokens[0].lemma not in ("who", "whom"):
            return
        for shown, column in zip(tree.selects, columns, strict=True):
            if isinstance(shown.unalias(), exp.AggFunc):
                continue
            if column is None or not self._is_nobody(column):
                return
        yield self._tokens[0].text

    def _is_nobody(self, column: Column) -> bool:
        if set(column.words) <= self._lemmas:
            return False  # who are the *advisors*, of whom only a number is known
        of = self._targets.get(column, column.table if column.primary else None)
        if of is None:
            return column.kind in (Kind.NUMBER, Kind.DATE, Kind.BOOLEAN)
        leading = [self._targets[c] for c in of.columns if c in self._targets]
        return any(map(full_name, [of, *leading]))

    def _undone(self, unused: Sequence[str]) -> Iterator[str]:
        """What somebody did, behind `who`: who *painted* them."""
        if [token.lemma for token in self._tokens[:1]] == ["who"]:
            yield from (token.text for token in self._tokens[1:2] if token.text in unused)

    def _not_counted(self, tree: exp.Query) -> Iterator[str]:
        """The `most` of what is counted, where a query has the last day in its place: who
        *received* the most samples is not who received the latest.
        """
        said, order = _MOST_THINGS.search(self._text), tree.args.get("order")
        if said is None or order is None:
            return
        first = order.expressions[0].this
        if isinstance(first, exp.Column) and first.name in self._days:
            yield said[1]

    def _no_amount(self, tree: exp.Query) -> Iterator[str]:
        """`How much`, where a query shows no number at all."""
        said = _HOW_MUCH.match(self._text)
        if said is None or any(not isinstance(e.unalias(), exp.Column) for e in tree.selects):
            return
        shown = {e.unalias().name for e in tree.selects}
        if not shown & self._numbers and not tree.is_star:
            yield said["much"]

    def _not_shown(self, tree: exp.Query, columns: Sequence[Column | None]) -> Iterator[str]:
        """What `which` asks for, where a query shows nothing but a measure of it."""
        if self._asked is None or tree.args.get("group") is not None:
            return
        measures = [isinstance(e.unalias(), exp.AggFunc) for e in tree.selects]
        if all(measures) and not any(columns):
            yield self._asked[0]

    def _no_groups(self, tree: exp.Query) -> Iterator[str]:
        """`Per`, where a query neither groups, measures nor divides, and reads no column that says
        it: the price per kilo.
        """
        names = [{*identifier_words(c.name)} for c in tree.find_all(exp.Column)]
        for said in _PER.finditer(self._text):
            around = {lemma(said["before"]), lemma(said["behind"])}
            named = any("per" in words or around <= words for words in names)
            if not tree.find(*MEASURED) and not named:
                yield said["per"]

    def _measure_of_each(self, tree: exp.Query) -> Iterator[str]:
        """An amount of which each value is a group, where groups are asked for of something else:
        the *volume* brewed per year.
        """
        said, group = _EACH.search(self._text), tree.args.get("group")
        if said is None or group is None:
            return
        of = {lemma(word) for word in re.findall(r"\w+", said[1])}
        for each in group.expressions:
            column = self._column(tree, each)
            if column is not None and column.adds_up and not of & {*column.words}:
                yield " ".join(column.words)

    def _unheard_day(self, columns: Sequence[Column | None]) -> Iterator[str]:
        """A day that is all that is shown, where nobody asks for a day: *customers* are not their
        `customer_since`.
        """
        if len(columns) != 1 or columns[0] is None or columns[0].kind is not Kind.DATE:
            return
        own = {*columns[0].words}
        if (own - self._lemmas) & SINCE and not _WHEN.search(self._text):
            yield from own & self._lemmas
