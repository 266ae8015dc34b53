# ruff: noqa: E501 -- a pattern reads best on one line
"""Clauses about groups and averages: order by, nested comparison, having."""

import itertools
import re

from mcp_server.nl2sql.lexicon import COMPARATIVES
from mcp_server.nl2sql.logical import (
    AnyOf,
    Compare,
    Having,
    Nested,
    Operator,
    Order,
)
from mcp_server.nl2sql.second.atoms import COL, DET, NAME, NUM, TAB, name_of
from mcp_server.nl2sql.second.clauses import Clauses
from mcp_server.nl2sql.second.vocabulary import AGGS, BOUNDS, COUNTING, HAVE, MORE


class Bounds(Clauses):
    """Order by, comparison with an aggregate, and conditions on groups."""

    def order_by(self) -> None:
        t = self.text
        way = r"(?:(?:in )?(?:an |the )?(?P<w1>ascending|descending|increasing|decreasing|asc|desc|alphabetical|alphabetic|lexicographic|lexicographical|reverse|chronological)(?:ly)?(?: order)?(?: of)?)"
        tail = r"(?P<tail>(?: ,? ?(?:in )?(?:an |the )?(?:ascending|descending|increasing|decreasing|asc|desc|alphabetical|alphabetic)(?:ly)?(?: order)?| (?:from|with) (?:the )?\S+ (?:to|first|come first)(?: (?:the )?\S+)?)?)"
        target = rf"(?P<target>{DET}(?:{COUNTING} {DET})?(?:(?:average|total|maximum|minimum|sum of|avg) )?(?:{NAME})(?: of {DET}{TAB})?|count|number|frequency|popularity)"
        verbs = r"(?:(?:and |, )?(?:be )?(?:sort|sorted|order|ordered|rank|ranked|arrange|arranged|(?<=\S )list|listed|(?<=\S )present|presented)(?: (?:them|it|the result|result|these|alphabetically))*)"
        patterns: tuple[str, ...] = (
            rf"{verbs} {way} (?:by|of|according to|based on|on)?(?: the)? ?{target}",
            rf"{verbs} (?:by|according to|based on|in order of|on)(?: the)? {target}{tail}",
            rf"{verbs} ?(?:by|according to|in) {target} {way}",
            rf"(?:in|by) {way} {target}{tail}",
            rf"in (?:the )?order of {target}{tail}",
            rf"{verbs}(?: by)? {way}",
            rf"{way.replace('(?:in )?', 'in ', 1)}",
        )
        started = t.find(
            rf"(?:sort|order|rank|arrange) (?:\S+ )+?(?P<by>by|in) (?:the )?(?:their |its )?(?:{NAME}|{way})"
        )
        if started and started.start() == 0:
            t.atoms[0].used = True
            t.atoms[0].token = t.atoms[0].token.__class__("show", "show", t.atoms[0].token.mark)
            patterns = (rf"by {target} {way}", rf"by {target}{tail}", *patterns)
        for pattern in patterns:
            match = t.find(pattern)
            if match is None:
                continue
            groups = match.groupdict()
            words = f"{groups.get('w1') or ''} {groups.get('tail') or ''}"
            down = bool(
                re.search(
                    r"desc|decreas|reverse|old\w* to|(?:high|larg|great|big|long|late|new|old)\w* (?:to|first|come)|from (?:the )?most",
                    words,
                )
            )
            self.order_tail = t.place(match)
            target_words = groups.get("target")
            if not target_words:
                t.use(match)
                self.query.order.append(Order(down))
                self.flags.add("order_first")
                return
            self._order_target(target_words, down)
            t.use(match)
            return

    def _order_target(self, words: str, down: bool) -> None:
        t = self.text
        names = re.findall(NAME, words)
        if re.search(COUNTING.replace("how many", "number of"), words) or words.strip().split()[
            -1
        ] in ("count", "number", "frequency", "popularity"):
            table = t.table(names[0]) if names else None
            self.query.order.append(Order(down, aggregate="count", table=table))
            return
        column = t.column(names[0], numeric=False) if names else None
        if column is None and names:
            table = t.table(names[0])
            column = name_of(table) if table else None
        if column is not None:
            agg = re.search(r"\b(average|total|maximum|minimum|avg|sum)\b", words)
            self.query.order.append(
                Order(down, column=column, aggregate=AGGS[agg[1]] if agg else None)
            )

    def alternatives(self) -> None:
        """`before 1990 or after 2000`; and bounds that no row meets at once: rows of a group do."""
        where = self.query.where
        code = self.text.code
        words = [atom.token.lemma for atom in self.text.atoms]
        bounds = [c for c in where if isinstance(c, Compare) and id(c) in self.places]
        bounds.sort(key=lambda c: self.places[id(c)])
        for one, other in itertools.pairwise(bounds):
            if one not in where or other not in where:
                continue
            first, second = sorted((self.places[id(one)], self.places[id(other)]))
            between = words[first:second]
            if "or" in between and len(between) <= 12:
                where.remove(other)
                where[where.index(one)] = AnyOf((one, other))
            elif one.column is other.column and {one.operator[0], other.operator[0]} == {"<", ">"}:
                low, high = (one, other) if one.operator[0] == ">" else (other, one)
                if (
                    isinstance(low.value, int | float)
                    and isinstance(high.value, int | float)
                    and low.value >= high.value
                ):
                    where.remove(one)
                    where.remove(other)
                    where.append(AnyOf((one, other)))
                    self.flags.add("both")
        del code

    def nested(self) -> None:
        t = self.text
        agg = r"(?P<agg>average|mean|maximum|minimum|max|min)"
        ops = BOUNDS + "|" + "|".join(f"{c} than" for c in COMPARATIVES)
        for match in t.findall(
            rf"(?:{HAVE} )*{DET}(?P<c1>{COL} )?(?:be |have |that |which )*(?P<op>{ops}) {DET}{agg}(?: (?:one|for|of|value))*(?: {DET}(?P<c2>{COL}))?(?: of {DET}(?P<t>{TAB}|them))?(?: ?(?:for|in|of|across) (?:all|every|the)? ?{TAB})?"
        ):
            op = match["op"]
            column = None
            for group in ("c2", "c1"):
                if column is None and match[group]:
                    column = t.column(match[group].strip(), [self._subject()], numeric=True)
            word = op.removesuffix(" than")
            operator: str | None = MORE.get(op)
            if word in COMPARATIVES:
                hints, operator = COMPARATIVES[word]
                if column is None or not column.counts:
                    column = self._adjective(hints) or column
            if column is None or operator is None:
                t.use(match, "agg")
                continue
            t.use(match)
            self.query.where.append(Compare(column, operator, Nested(AGGS[match["agg"]], column)))  # type: ignore[arg-type]

    def having(self) -> None:
        """`more than 3 T`, where T is not what is asked about: a condition on groups."""
        t = self.text
        for match in t.findall(rf"(?:between )?(?P<a>{NUM}) (?:and|to) (?P<b>{NUM}) (?P<t>{TAB})"):
            table = t.table(match["t"])
            if table is None or self._is_measure(match["t"]):
                break
            t.use(match)
            self.query.having.append(Having(">=", t.number(match["a"]), table=table))
            self.query.having.append(Having("<=", t.number(match["b"]), table=table))
        for match in t.findall(rf"(?P<m>{NUM}) or more (?:times?|record)"):
            self.query.having.append(Having(">=", t.number(match["m"])))
            t.use(match)
        for match in t.findall(
            rf"(?:(?P<op>{BOUNDS}) (?P<n>{NUM})|(?P<m>{NUM}) or (?P<dir>more|less|fewer)|(?P<word>multiple|several|more than (?:a|one|a single|one single))|(?P<only>only|exactly) (?P<k>{NUM})) (?:times )?{DET}(?:(?:type|kind|number) of )?(?P<t>{TAB})"
        ):
            table = t.table(match["t"])
            if table is None:
                continue
            before = match.string[: match.start()].split()
            if match["op"] and re.search(r"N\d+", match["n"]) and self._is_measure(match["t"]):
                continue
            operator, value = self._bound(match)
            t.use(match)
            last = before[-1] if before else ""
            if (
                table is self.text.subject
                and self._first_table(match["t"])
                and last not in ("have", "with")
            ):
                self.flags.add("having_subject")
                self.query.having.append(Having(operator, value))
                continue
            self.query.having.append(Having(operator, value, table=table))
        for match in t.findall(
            rf"(?:{HAVE} |whose |and |where |in which |the |a |an )*(?P<agg>average|mean|total|maximum|minimum|sum of|combined) (?P<c>{COL}) (?:(?:be|of|that|which|greater) )*(?:(?P<op>{BOUNDS}) )(?P<n>{NUM})"
        ):
            column = self._measure(match["c"], match)
            if column is None or not column.counts:
                t.use(match, "agg")
                continue
            t.use(match)
            self.query.having.append(
                Having(
                    MORE[match["op"]], t.number(match["n"]), AGGS[match["agg"].split()[0]], column
                )
            )
        times = t.find(
            rf"(?:(?P<op>{BOUNDS}) (?P<n>{NUM}) (?:times?|row|record)|(?P<word>multiple) times|(?:appear|occur) (?P<only>only|exactly) (?P<k>{NUM}))"
        )
        if times:
            n = times["n"] or times["k"]
            self.query.having.append(
                Having(MORE.get(times["op"] or "", "="), t.number(n) if n else 1)
            )
            t.use(times)

    def _is_measure(self, code: str) -> bool:
        ref = self.text.ref(code)
        best = ref.columns[0] if ref.columns else None
        return (
            best is not None and best[0].counts and not best[0].foreign and best[1] > ref.best_table
        )

    def _first_table(self, code: str) -> bool:
        return code == next(iter(re.findall(TAB, self.text.code)), None)

    def _bound(self, match: re.Match[str]) -> tuple[Operator, int | float]:
        t = self.text
        if match["op"]:
            return MORE[match["op"]], t.number(match["n"])
        if match["m"]:
            return (">=" if match["dir"] == "more" else "<="), t.number(match["m"])
        if match["k"]:
            return "=", t.number(match["k"])
        return ">", 1
