# ruff: noqa: E501 -- a pattern reads best on one line
"""Comparisons with numbers and dates, and the alternatives between them."""

import re

from mcp_server.nl2sql.lexicon import COMPARATIVES
from mcp_server.nl2sql.logical import (
    AnyOf,
    Between,
    Compare,
    Having,
)
from mcp_server.nl2sql.profile_model import Column, Kind
from mcp_server.nl2sql.second.atoms import COL, DET, NUM
from mcp_server.nl2sql.second.ranks import Ranks
from mcp_server.nl2sql.second.vocabulary import HAVE, MORE, OP


class Comparisons(Ranks):
    """Conditions on columns of numbers and dates."""

    def comparisons(self) -> None:
        t = self.text
        for match in t.findall(
            rf"(?:whose |where |with )?(?P<a>{COL}) (?:be |that |which )*(?:different from|differ from|not the same as|not equal to|unequal to) (?:\S+ ){{0,4}}?(?P<b>{COL})"
        ):
            one, other = (t.column(match[g], [self._subject()]) for g in ("a", "b"))
            if one is None or other is None:
                break
            t.use(match)
            self.query.where.append(Compare(one, "<>", other))
        between = rf"(?:between|from) (?P<a>{NUM}|D\d+) (?:and|to) (?P<b>{NUM}|D\d+)"
        for match in t.findall(
            rf"(?:{HAVE} |whose |where )*{DET}(?P<c>{COL})?(?: (?:be|of|that|in the range|range|value|the year))* ?{between}(?: (?P<d>{COL}))?"
        ):
            column = self._measure(match["c"], match)
            if match["d"] and (column is None or not (column.counts or column.kind is Kind.DATE)):
                column = self._measure(match["d"], match)
            elif match["d"]:
                t.atoms[int(match["d"][1:])].kind = t.atoms[int(match["d"][1:])].kind
            if column is None:
                column = self._by_value(match)
            if column is None:
                t.use(match, "a", "b")
                self.doubt += 0.2
                continue
            t.use(match)
            low, high = (self._scalar(match[g]) for g in ("a", "b"))
            self.query.where.append(Between(column, low, high))
        have = rf"(?:{HAVE} |whose |where |in |and )*"
        bound = rf"{OP} (?:the year |year |age |that of )?(?P<n>{NUM}|D\d+)"
        for match in t.findall(
            rf"{have}{DET}(?P<c>{COL})(?: (?:that|which|of|value|be|have|a|number))* {bound}(?: (?:or|and) {OP.replace('op', 'op2')} (?P<n2>{NUM}))?"
        ):
            self._compare(match, match["c"])
        for match in t.findall(
            rf"{have}(?:a |an |the )?(?P<op>more|less|greater|higher|larger|bigger|lower|smaller|fewer) (?P<c>{COL}) than (?P<n>{NUM})"
        ):
            self._compare(match, match["c"])
        for match in t.findall(
            rf"{have}{OP} (?:the |a |an )?(?P<c>{COL}) (?:of |be )?(?P<n>{NUM}|D\d+)"
        ):
            self._compare(match, match["c"])
        for match in t.findall(rf"{have}{bound} (?:of )?(?P<c>{COL})"):
            self._compare(match, match["c"])
        for match in t.findall(
            rf"{have}(?P<adj>{'|'.join(COMPARATIVES)}) than (?:the )?(?:age )?(?P<n>{NUM})(?: year(?: old)?)?"
        ):
            hints, operator = COMPARATIVES[match["adj"]]
            column = self._adjective(hints)
            if column is not None:
                t.use(match)
                bounded = Compare(column, operator, t.number(match["n"]))  # type: ignore[arg-type]
                self.places[id(bounded)] = t.place(match)
                self.query.where.append(bounded)
        for match in t.findall(
            rf"(?:{HAVE} |whose |where |in |aged |year |on |of |a |an |the |during )*(?:(?P<c>{COL}) )?(?:(?:be|of|equal to|in|value|the|year|either|aged|as) )*(?P<n>{NUM}) or (?:in |of |year |the )*(?P<k>{NUM})(?: (?P<d>{COL}))?"
        ):
            column = self._measure(match["c"] or match["d"], match) or self._by_value(match)
            if column is None and ("aged" in match[0] or "age" in match[0]):
                column = self._adjective(("age",))
            if column is None:
                t.use(match, "n", "k")
                self.doubt += 0.3
                continue
            t.use(match)
            self.query.where.append(
                AnyOf(
                    (
                        Compare(column, "=", t.number(match["n"])),
                        Compare(column, "=", t.number(match["k"])),
                    )
                )
            )
        for match in t.findall(rf"{have}{bound}"):
            self._compare(match, None)
        for match in t.findall(
            rf"{have}(?P<n>{NUM}) or (?P<op>more|less|fewer|above|below|older|younger|higher|lower)(?: {DET}(?P<c>{COL}))?"
        ):
            self._compare(match, match["c"])
        for match in t.findall(
            rf"{have}{DET}(?P<c>{COL}) (?:(?:be|equal to|equal|exactly|of|as|number|value|in|to|with|the) )*(?P<n>{NUM}|D\d+)"
        ):
            self._compare(match, match["c"])
        for match in t.findall(rf"{have}(?P<n>{NUM}) (?P<c>{COL})"):
            column = t.column(match["c"], [self._subject()], numeric=True)
            if (
                column is not None
                and column.counts
                and not column.foreign
                and t.place(match, "n") > 0
            ):
                self._compare(match, match["c"])
        for match in t.findall(
            rf"(?:in|on|of|during|from|for|at)(?: the)?(?: year)? (?P<n>{NUM}|D\d+)"
        ):
            self._compare(match, None)

    def _scalar(self, code: str) -> str | int | float:
        if code[0] == "D":
            return self.text.atoms[int(code[1:])].token.text
        return self.text.number(code)

    def _compare(self, match: re.Match[str], code: str | None) -> None:
        t = self.text
        groups = match.groupdict()
        value = self._scalar(match["n"])
        op = groups.get("op")
        operator = "="
        if op:
            operator = (
                MORE.get(f"{op} than")
                or MORE.get(op)
                or {"more": ">=", "above": ">=", "older": ">=", "higher": ">="}.get(op, "<=")
            )
            if " or " in match[0] and op in ("more", "above", "older", "higher"):
                operator = ">="
        column = self._measure(code, match)
        if column is None or (code is None and not self._fits(column, value)):
            found = self._by_value(match)
            column = found or column
        before = match.string[: match.start()].split()
        if column is None:
            self.doubt += 0.2
            t.use(match, "n")
            return
        if before[-1:] == ["not"] or re.search(r"\bnot (?!more than|less than|equal)", match[0]):
            operator = {"=": "<>", ">": "<=", "<": ">=", ">=": "<", "<=": ">"}.get(
                operator, operator
            )
        t.use(match)
        one = Compare(column, operator, value)  # type: ignore[arg-type]
        if groups.get("n2"):
            other = Compare(column, MORE[match["op2"]], t.number(match["n2"]))
            joined = " or " in match[0]
            if joined:
                self.query.where.append(AnyOf((one, other)))
            else:
                self.query.where += [one, other]
            return
        if (
            column.kind is Kind.TEXT
            and not column.numeric_text
            and op
            and not isinstance(value, str)
        ):
            self.query.having.append(Having(operator, value, table=column.table))  # type: ignore[arg-type]
            return
        self.places[id(one)] = self.text.place(match)
        self.query.where.append(one)

    def _fits(self, column: Column, value: str | int | float) -> bool:
        return column.counts or column.kind is Kind.DATE or isinstance(value, str)

    def _by_value(self, match: re.Match[str]) -> Column | None:
        """The column that a bare number speaks of: a year, a date, or the only such column."""
        codes = [g for g in ("n", "a") if match.groupdict().get(g)]
        value = self._scalar(match[codes[0]])
        beside = self.nearest(self.text.place(match, codes[0]))
        tables = [t for t in (beside, self._subject(), *self.text.near) if t is not None]
        columns = [c for table in dict.fromkeys(tables) for c in table.columns]
        if isinstance(value, str):
            return next((c for c in columns if c.kind is Kind.DATE), None)
        if isinstance(value, int) and 1000 <= value <= 2100:
            yearly = [c for c in columns if "year" in c.words or c.year_like]
            yearly += [c for c in columns if c.kind is Kind.DATE]
            return yearly[0] if yearly else None
        if "age" in match[0] or "old" in match[0]:
            return next((c for c in columns if "age" in c.words), None)
        return None
