# ruff: noqa: E501 -- a pattern reads best on one line
"""Superlatives: the most, the oldest, the top three, the most common."""

import re

from mcp_server.nl2sql.lexicon import PHRASE_SUPERLATIVES, SUPERLATIVES
from mcp_server.nl2sql.logical import (
    Order,
)
from mcp_server.nl2sql.profile_model import Kind
from mcp_server.nl2sql.second.atoms import COL, DET, NAME, NUM, TAB
from mcp_server.nl2sql.second.bounds import Bounds
from mcp_server.nl2sql.second.vocabulary import ADJ, AGGS, HAVE, HIGH, LOW, PADJ


class Ranks(Bounds):
    """What is ranked, and how much of it is kept."""

    def superlatives(self) -> None:
        t = self.text
        have = r"(?:(?:that|which|who) )?(?:(?:have|with|of|has|having|be|use|own|contain|make|in|at|by|for|host|hold|receive) )+"
        top = rf"(?:(?:top )?(?P<n>{NUM}) )?"
        match = t.find(
            rf"(?:{HAVE} |whose |and )*(?:the )?(?:top )?(?:(?P<n>{NUM}) )?(?P<w>(?P<hi>{HIGH})|(?P<lo>{LOW})) (?P<agg>average|mean|total|sum of|combined|overall) (?:(?:amount|value|number) of )?(?P<c>{COL})"
        )
        if match and self._may_rank(match) and not self._projected_aggregate(match):
            column = self._measure(match["c"], match)
            if column is not None and column.counts:
                self._rank(
                    match,
                    Order(
                        bool(match["hi"]),
                        column=column,
                        aggregate=AGGS.get(match["agg"].split()[0], "sum"),
                    ),
                    self._limit(match),
                )
                return
        match = t.find(
            rf"(?:whose|with|where|that have|which have|and) {DET}(?P<c>{COL}) (?:that )?be (?:among )?(?:the )?(?:(?P<n>{NUM}) )?(?P<w>(?P<hi>{HIGH})|(?P<lo>{LOW}))(?= |$)"
        )
        if match and self._may_rank(match):
            column = self._measure(match["c"], match)
            if column is not None:
                self._rank(match, Order(bool(match["hi"]), column=column), self._limit(match))
                return
        match = t.find(
            rf"(?:the )?top (?P<n>{NUM}) (?:(?:{HIGH}) )?(?P<x>{NAME})(?: (?:{HAVE} |in |with |by |for |of |rank |sorted |ordered |base on |the |most |highest |largest |term )*(?P<c>{COL}))?"
        )
        if match and self._may_rank(match) and match["x"] != match["c"]:
            column = t.column(
                match["c"] or match["x"], [self.nearest(10**6), self._subject()], numeric=True
            )
            if column is not None and (column.counts or column.kind is Kind.DATE):
                first = len(match.string[: match.start()].split())
                for atom in t.atoms[first : t.place(match, "x")]:
                    atom.used = True
                if match["c"]:
                    t.use(match, "c")
                self.query.order.append(Order(True, column=column))
                self.query.limit = self._limit(match)
                return
        # top-N count: with the most T / the most number of T
        match = t.find(
            rf"(?:{have})?(?:the )?{top}(?P<w>(?P<hi>{HIGH})|(?P<lo>{LOW})) (?:(?P<num>(?:number|amount|count|quantity) of) )?{DET}(?P<x>{NAME})"
        )
        if match and self._may_rank(match):
            table, column = (
                t.table(match["x"]),
                t.column(match["x"], [self._subject()], numeric=True),
            )
            word = match["w"]
            ref = t.ref(match["x"])
            counted = match["num"] or word in ("most", "least", "fewest")
            down = bool(match["hi"])
            measure = (
                column is not None
                and (column.counts or column.kind is Kind.DATE or not counted)
                and not (column.foreign or column.primary)
                and ref.best_column >= ref.best_table
                and not (match["num"] and table is not None)
            )
            limit = self._limit(match)
            if measure and column is not None:
                if not self._projected_aggregate(match):
                    self._rank(match, Order(down, column=column), limit)
                    return
            elif table is not None and counted:
                self._rank(match, Order(down, aggregate="count", table=table), limit)
                return
        match = t.find(
            rf"(?:(?:{have})?(?:the )?{top}(?P<common>(?:most|least) (?:commonly |frequently |often )?(?:common|popular|frequent|used|frequently|commonly|prominent|predominant|widely|often)(?: used| owned| spoken)?)(?: {DET}(?P<x>{NAME}))?)"
        )
        if match:
            down = match["common"].startswith("most")
            limit = self._limit(match)
            order = Order(down, aggregate="count")
            code = match["x"]
            if code:
                column = t.column(code, [self._subject()])
                ref = t.ref(code)
                if column is not None and ref.best_column >= ref.best_table - 0.05:
                    self.query.group.append(column)
                    if not self.query.select:
                        self.flags.add("group_shown")
                else:
                    table = t.table(code)
                    self.flags.add("rank_subject")
                    if table is not None:
                        self.text.subject = table
            t.use(match)
            self.query.order.append(order)
            self.query.limit = limit
            return
        match = t.find(rf"(?:{have})?(?:the )?{top}(?P<adj>{PADJ})(?: (?P<x>{NAME}))?") or t.find(
            rf"(?:{have})?(?:the )?{top}(?P<adj>{ADJ})(?: (?P<x>{NAME}))?"
        )
        if match and not self.query.order:
            adj = match["adj"]
            hints, down = PHRASE_SUPERLATIVES.get(adj) or SUPERLATIVES[adj]
            near = t.table(match["x"]) if match["x"] and match["x"][0] in "TBW" else None
            column = (
                t.column(match["x"], [self._subject()], numeric=True)
                if match["x"] and match["x"][0] in "CB"
                else None
            )
            if column is not None and not (column.counts or column.kind is Kind.DATE):
                column = None
            head = match.string[: match.start()].split()
            if column is not None and not [w for w in head if re.fullmatch(NAME, w)]:
                return  # `the oldest age`: an aggregate
            if column is None:
                column = self._adjective(hints, near)
                if (
                    column is not None
                    and adj in ("oldest", "youngest", "eldest", "newest")
                    and column.words[-1:] != ("age",)
                ):
                    date = any(
                        w in ("birth", "born", "birthday", "birthdate", "dob") for w in column.words
                    )
                    if date:
                        down = not down
                    elif adj == "oldest":
                        down = False
                    elif adj == "youngest":
                        down = True
            if column is None:
                return
            code = match["x"] or ""
            limit = self._limit(match)
            if code[:1] in "TBW" and code:
                t.use(match, "adj")
                self.query.order.append(Order(down, column=column))
                self.query.limit = limit
            else:
                self._rank(match, Order(down, column=column), limit)

    def _may_rank(self, match: re.Match[str]) -> bool:
        return not any(order.aggregate for order in self.query.order)

    def _limit(self, match: re.Match[str]) -> int:
        return int(self.text.number(match["n"])) if match["n"] else 1

    def head_limit(self) -> int:
        """The number before what is asked for: `the five T with the most ...`."""
        match = self.text.find(rf"(?P<n>{NUM}) (?P<t>{TAB})")
        if (
            match
            and self.text.place(match) <= 6
            and not re.search(r"than|least $|most $", match.string[: match.start()])
        ):
            self.text.use(match, "n")
            return int(self.text.number(match["n"]))
        return 1

    def _rank(self, match: re.Match[str], order: Order, limit: int) -> None:
        self.text.use(match)
        if limit == 1:
            limit = self.head_limit()
        self.query.order.append(order)
        self.query.limit = limit

    def _projected_aggregate(self, match: re.Match[str]) -> bool:
        """`what is the maximum X` asks for the value; `with the maximum X` for a row."""
        matched = match[0].split()
        if matched[0] in ("with", "have", "that", "which", "who", "of", "has", "having", "use"):
            named = re.findall(NAME, match.string[: match.start()])
            return not named and matched[0] == "of"
        head = match.string[: match.start()].split()
        if (
            any(re.fullmatch(TAB, word) for word in head[-2:])
            and head[-1:] != ["and"]
            and head[-1:] != [","]
        ):
            return "each" in head
        if head and re.fullmatch(r"(?:who|which|that|where|whose)", head[-1]):
            return False
        return bool(
            not head
            or head[-1]
            in (
                "be",
                "the",
                "find",
                "show",
                "give",
                "return",
                "and",
                ",",
                "list",
                "me",
                "what",
                "show-me",
                "or",
                "calculate",
                "as",
                "well",
                "all",
                "by",
            )
        )
