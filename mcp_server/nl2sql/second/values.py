# ruff: noqa: E501, SIM102 -- a pattern reads best on one line
"""Values that the question names, and rows that must not exist."""

import re

from mcp_server.nl2sql.logical import (
    AnyOf,
    Compare,
    Condition,
    Like,
    Linked,
    Null,
)
from mcp_server.nl2sql.profile_model import Column, Kind, Table
from mcp_server.nl2sql.second.atoms import COL, NAME, TAB, VAL, name_of
from mcp_server.nl2sql.second.comparisons import Comparisons
from mcp_server.nl2sql.tokens import Mark

NEG = r"(?:not|never|without|no|neither|cannot|except|excluding|exclude)"


class Values(Comparisons):
    """Absence, patterns, and values of text columns."""

    def absence(self) -> None:
        t = self.text
        subject = t.subject
        pattern = rf"(?:(?:that|which|who|have|do|be|with|whose|and|but) )*(?P<neg>{NEG})(?: (?!{NAME}|{VAL}|and|or|,)(?:\S+)){{0,4}}? (?P<t>{TAB})(?! (?:be|of) )"
        match = t.find(pattern)
        if match and match["neg"] not in ("except", "excluding", "exclude"):
            table = t.table(match["t"])
            column = t.column(match["t"], [subject])
            own = (
                column is not None
                and column.table is subject
                and match["t"][0] != "T"
                and t.ref(match["t"]).best_table < 0.9
            )
            if table is not None and table is not subject and not own and subject is not None:
                t.use(match)
                inner: list[Condition] = [
                    c
                    for c in self.query.where
                    if isinstance(c, Compare) and c.column.table is table
                ]
                self.query.where = [c for c in self.query.where if c not in inner]
                inner += self._following(match, table)
                self.query.where.append(Linked(table, tuple(inner), negated=True))
                return
        match = t.find(
            rf"(?:{NEG}|null|missing) (?:(?:have|any|a|an|the|recorded|specified|known) )*(?P<c>{COL})(?! (?:be|of|{VAL}))"
        )
        if match and match[0].split()[0] in ("no", "without", "not", "missing", "null"):
            column = t.column(match["c"], [subject])
            if column is not None and not re.search(rf"{match['c']} (?:\S+ )?{VAL}", t.code):
                if re.search(
                    rf"(?:have|without|with) (?:no |any |a |an |the )*{match['c']}$", match[0]
                ) or match[0].startswith(("no ", "without ", "missing")):
                    t.use(match)
                    self.query.where.append(Null(column))

    def _following(self, match: re.Match[str], table: Table) -> list[Condition]:
        """Values after an absent table belong to it."""
        t = self.text
        found: list[Condition] = []
        start = t.place(match) + len(match[0].split())
        for index in range(start, min(start + 8, len(t.atoms))):
            atom = t.atoms[index]
            if atom.used or atom.ref is None or not atom.ref.values:
                continue
            options = [p for p in atom.ref.values if p[0].table is table] or [
                p for p in atom.ref.values if t.graph.distance(p[0].table, table) <= 2
            ]
            if options:
                atom.used = True
                found.append(Compare(options[0][0], "=", options[0][1]))
        return found

    def values(self) -> None:
        t = self.text
        found: list[tuple[int, Condition]] = []
        for match in t.findall(
            rf"(?:(?P<c>{COL}) )?(?:(?:that|which|be|do|the|name|title|word|phrase|string|substring|letter|have|in|with|of|their|it|a) )*(?P<how>have the (?:word|substring|phrase|string|letter)|have substring|with substring|with the (?:word|substring|phrase|string|letter)|contain|contains|containing|include|includes|including|start with|starts with|starting with|begin with|begins with|beginning with|end with|ends with|ending with|like)(?: (?:the|a|an|word|phrase|string|substring|letter|text|with|character|prefix))* (?P<v>[VWQ]\d+|[CBT]\d+)"
        ):
            code = match["v"]
            atom = t.atoms[int(code[1:])]
            if code[0] in "CBT" and not re.search("word|phrase|string|letter|with", match[0]):
                break
            column = t.column(match["c"], [t.subject]) if match["c"] else None
            if column is None and t.subject is not None:
                column = name_of(t.subject)
            if column is None or (match["how"].startswith("includ") and code[0] == "V"):
                break
            text = atom.token.text
            how = match["how"]
            if (
                atom.ref is not None
                and any(c is column for c, _ in atom.ref.values)
                and not re.search("word|phrase|string|letter|start|begin|end", match[0])
            ):
                break
            pattern = (
                f"{text}%"
                if how.startswith(("start", "begin"))
                else f"%{text}"
                if how.startswith("end")
                else f"%{text}%"
            )
            negated = "not" in match.string[: match.start()].split()[-2:]
            found.append((t.place(match, "v"), Like(column, pattern, negated)))
            t.use(match)
        within = t.find(
            rf"(?:have|contain|include|with) (?:the )?(?:word |substring |letter )?(?P<v>[VWQ]\d+) in (?:its|their|the|his|her) (?P<c>{COL})"
        )
        if within and (column := t.column(within["c"], [t.subject])) is not None:
            match = within
            t.use(match)
            found.append(
                (t.place(match, "v"), Like(column, f"%{t.atoms[int(match['v'][1:])].token.text}%"))
            )
        link = r"(?:(?:be|of|call|called|named|name|equal|to|as|in|with|from|the|have|has|title|titled|exactly|either|both|by|at|value|code|type|=|:|for|on|city|a|an|located|where) )*"
        names = rf"(?:(?P<c>{COL}|{TAB}) )?"
        for match in t.findall(
            rf"(?:(?P<pre>whose|where|with|have|that|which|and|or|of|from|in) )?{names}(?P<link>{link})(?P<neg>not |other than |except |except for |excluding |besides |outside (?:of )?)?(?P<link2>{link})(?P<v>{VAL})(?: (?P<after>{COL}|{TAB}))?"
        ):
            code = match["v"]
            index = int(code[1:])
            atom = t.atoms[index]
            if code[0] == "W" and not self._is_value(index, match):
                self.text.atoms[index].kind = (
                    "C" if atom.ref and atom.ref.best_column >= atom.ref.best_table else "T"
                )
                continue
            beside = [
                t.column(match[group], [self.nearest(index), t.subject])
                for group in ("c", "after")
                if match[group]
            ]
            holders = [column for column, _ in (atom.ref.values if atom.ref else ())]
            hint = next((column for column in beside if column in holders), None)
            hint = hint or next((column for column in beside if column is not None), None)
            chosen = self._value_column(index, hint, match)
            if chosen is None:
                atom.used = True
                self.doubt += 0.3
                continue
            column, value, used_hint = chosen
            before = match.string[: match.start("v")].split()[-5:]
            negated = bool(match["neg"]) or any(
                w in ("not", "except", "excluding", "never", "outside") for w in before
            )
            operator = "<>" if negated else "="
            condition: Condition = Compare(column, operator, value)  # type: ignore[arg-type]
            subject = t.subject
            if negated and subject is not None and column.table is not subject:
                path = t.graph.path(subject, column.table) or []
                if any(key.target.table is t.subject for key in path):
                    condition = Linked(column.table, (Compare(column, "=", value),), negated=True)
            found.append((index, condition))
            t.use(match, "v", "neg", "link", "link2")
            if used_hint:
                if (
                    match["c"]
                    and hint is not None
                    and hint is t.column(match["c"], [t.subject])
                    and not self._shown_here(match)
                ):
                    t.use(match, "c")
                elif match["after"] and hint is beside[-1]:
                    t.use(match, "after")
            atom.used = True
        self._join_values(found)

    def _shown_here(self, match: re.Match[str]) -> bool:
        """Whether a column before a value is what is asked for: `the age of Kim`."""
        link = match["link"].split() + match["link2"].split()
        first_name = not re.search(NAME, match.string[: match.start("c")])
        if first_name and (
            set(link) & {"of", "from", "in", "for", "by", "at", "on", "with", "have"}
        ):
            return True
        return first_name and match["pre"] not in ("whose", "where", "with", "have")

    def _is_value(self, index: int, match: re.Match[str]) -> bool:
        atom = self.text.atoms[index]
        if atom.token.capitalised and index > 0:
            return True
        return bool(
            match["c"]
            and re.search(r"\b(be|equal|as|called|named)\b", match["link"] + match["link2"])
        )

    def _value_column(
        self, index: int, hint: Column | None, match: re.Match[str]
    ) -> tuple[Column, str | int | float, bool] | None:
        t = self.text
        atom = t.atoms[index]
        options = list(atom.ref.values) if atom.ref is not None else []
        token = atom.token
        if not options:
            if hint is None or hint.kind not in (Kind.TEXT, Kind.DATE):
                if hint is None or atom.kind == "D":
                    date = self._date_column()
                    return (
                        (date, token.text, False)
                        if atom.kind == "D" and date
                        else self._unknown(token.text, match)
                    )
                if hint.counts:
                    try:
                        return hint, float(token.text), True
                    except ValueError:
                        return None
            return hint, token.text, True
        tables = list(dict.fromkeys([x for x in (t.subject, *t.near) if x is not None]))

        def weight(pair: tuple[Column, str]) -> float:
            column = pair[0]
            score = 0.0
            if column is hint:
                score += 2.0
            elif hint is not None and column.table is hint.table and not hint.foreign:
                score += 0.2
            elif hint is not None and column.words[-1:] == hint.words[-1:]:
                score += 0.4
            named = t.table(match["c"]) if match["c"] and match["c"][0] in "TB" else None
            if named is column.table:
                score += 0.9
            if column.table in tables:
                score += 0.8 - 0.1 * min(tables.index(column.table), 3)
            if t.subject is not None:
                score -= 0.15 * min(t.graph.distance(t.subject, column.table), 6)
            if column.foreign:
                score -= 0.1
            score += self._direction(column, index)
            if column.words[-1:] in (("name",), ("title",)):
                score += 0.05
            return score

        best = max(options, key=weight)
        loose = not (
            token.capitalised
            or token.mark is Mark.QUOTED
            or " " in (atom.ref.text if atom.ref else "")
        )
        if loose and best[0].table not in tables and hint is not best[0]:
            if t.subject is None or t.graph.distance(t.subject, best[0].table) > 1:
                return None
        return best[0], best[1], hint is best[0]

    def _direction(self, column: Column, index: int) -> float:
        """`departing from X` and a column for sources; `arriving at X` and one for destinations."""
        low = column.name.lower()
        outward = any(w in low for w in ("source", "from", "depart", "origin", "start"))
        inward = any(w in low for w in ("dest", "to_", "arriv", "end"))
        if outward == inward:
            return 0.0
        before = [a.token.lemma for a in self.text.atoms[max(0, index - 6) : index]]
        says_out = any(
            w
            in (
                "from",
                "depart",
                "departing",
                "departs",
                "leave",
                "leaving",
                "leaves",
                "origin",
                "outbound",
                "source",
            )
            for w in before
        )
        says_in = any(
            w
            in (
                "to",
                "arrive",
                "arriving",
                "arrives",
                "land",
                "landing",
                "destination",
                "into",
                "inbound",
                "reach",
            )
            for w in before
        )
        if says_out == says_in:
            return 0.0
        return 0.5 if outward == says_out else -0.3

    def _unknown(self, text: str, match: re.Match[str]) -> tuple[Column, str, bool] | None:
        """Quoted text that no column holds: of the named table's name."""
        t = self.text
        table = t.table(match["c"]) if match["c"] and match["c"][0] in "TB" else t.subject
        column = name_of(table) if table is not None else None
        self.doubt += 0.15
        return (column, text, False) if column is not None else None

    def _date_column(self) -> Column | None:
        for table in dict.fromkeys([x for x in (self.text.subject, *self.text.near) if x]):
            for column in table.columns:
                if column.kind is Kind.DATE:
                    return column
        return None

    def _join_values(self, found: list[tuple[int, Condition]]) -> None:
        """`or` between conditions; two values of one column; `both`."""
        found.sort(key=lambda pair: pair[0])
        words = [atom.token.lemma for atom in self.text.atoms]
        groups: list[list[Condition]] = []
        links: list[str] = []
        last: int | None = None
        for index, condition in found:
            between = words[last:index] if last is not None else []
            if (
                last is not None
                and len(between) <= 6
                and ("or" in between or "and" in between or "," in between)
                and self._same(groups[-1][-1], condition)
            ):
                groups[-1].append(condition)
                if "or" in between:
                    links[-1] = "or"
                elif links[-1] != "or":
                    links[-1] = "and"
            elif last is not None and "or" in between and len(between) <= 6:
                groups[-1].append(condition)
                links[-1] = "or"
            else:
                groups.append([condition])
                links.append("")
            last = index
        for group, link in zip(groups, links, strict=True):
            if len(group) == 1:
                self.query.where.append(group[0])
            elif link == "or" or "both" not in words:
                if all(isinstance(c, Compare) and c.operator == "<>" for c in group):
                    self.query.where += group
                elif link == "and" and self._separable(group):
                    self.flags.add("both")
                    self.query.where.append(AnyOf(tuple(group)))
                else:
                    self.query.where.append(AnyOf(tuple(group)))
            else:
                self.flags.add("both")
                self.query.where.append(AnyOf(tuple(group)))

    def _separable(self, group: list[Condition]) -> bool:
        """Whether one subject may have both values, through rows of another table."""
        return False

    def _same(self, one: Condition, other: Condition) -> bool:
        return (
            isinstance(one, Compare)
            and isinstance(other, Compare)
            and one.column is other.column
            and one.operator == other.operator
        )
