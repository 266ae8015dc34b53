# ruff: noqa: E501, SIM102 -- a pattern reads best on one line
"""What is shown, of the whole or per group."""

import re

from mcp_server.nl2sql.logical import (
    Output,
)
from mcp_server.nl2sql.profile_model import Kind, Table
from mcp_server.nl2sql.second.atoms import COL, DET, NAME, TAB, shown
from mcp_server.nl2sql.second.values import Values
from mcp_server.nl2sql.second.vocabulary import AGGS, COUNTING

BOUNDARY = frozenset(
    [
        "that",
        "which",
        "who",
        "whose",
        "where",
        "with",
        "have",
        "in",
        "from",
        "by",
        "on",
        "at",
        "for",
        "when",
        "to",
        "than",
        "if",
        "under",
        "above",
        "after",
        "before",
        "during",
        "between",
        "without",
        "whom",
        "while",
        "there",
        "not",
        "be",
        "do",
        "_",
        "but",
        "having",
        "use",
    ]
)
RESTART = frozenset(
    [
        "list",
        "show",
        "give",
        "find",
        "return",
        "what",
        "how",
        "tell",
        "display",
        "count",
        "which",
        "and",
        ",",
        "as",
        "also",
        "well",
        "plus",
        "along",
        "together",
        "sort",
        "order",
        "state",
        "provide",
    ]
)


class Rest(Values):
    """Groups and the projection: what is left when every other clause is taken out."""

    def groups(self) -> None:
        t = self.text
        for match in t.findall(
            rf"(?:(?:for|of|in|from|by|per|with|to|at|on|and|within|across|does|do) )*(?:each|every|per|grouped by|group by) (?:(?:of|the|different|distinct|single|individual|kind|type|possible) )*(?P<x>{NAME})(?: (?P<y>{COL}))?(?: ,? ?(?:and|,) (?:each )?(?P<z>{COL})(?= |$)(?! of))?"
        ):
            self._group_by(match["x"], match["y"])
            t.use(match, 0)
            if match["z"]:
                t.atoms[int(match["z"][1:])].used = False
                if re.search(
                    rf"and each {match['z']}|(?:per|by) \S+ and {match['z']}", match[0]
                ) and (c := t.column(match["z"], [t.subject])):
                    self.query.group.append(c)
                    t.atoms[int(match["z"][1:])].used = True
        by = t.find(rf"(?:by|for (?:different|various)|in different) {DET}(?P<x>{NAME})")
        if by and not self.query.group and not self.query.group_tables:
            head = by.string[: by.start()]
            passive = by[0].startswith("by ") and re.search(
                r"[a-z]{2,}(?:ed|en|ght|wn|ade) $", head
            )
            if not passive and re.search(
                rf"{COUNTING}|\b(?:average|total|maximum|minimum|sum|mean)\b", head
            ):
                self._group_by(by["x"], None)
                t.use(by)
        if t.find(r"(?:for )?each(?: one)?|respectively|(?:have|in) each"):
            self.flags.add("each")

    def _group_by(self, code: str, more: str | None) -> None:
        t = self.text
        ref = t.ref(code)
        counted = self._counted_table()
        table = t.table(code) if ref.best_table >= 0.7 else None
        if more and table is not None:
            column = t.column(more, [table])
            if column is not None and column.table is table:
                self.query.group.append(column)
                return
        column = t.column(code, [counted, t.subject])
        local = column is not None and (column.table is counted or column.table is t.subject)
        if column is not None and (
            table is None
            or (
                local
                and not column.foreign
                and ref.best_column >= ref.best_table - 0.1
                and column.table is not table
            )
        ):
            self.query.group.append(column)
        elif table is not None:
            self.query.group_tables.append(table)
        elif column is not None:
            self.query.group.append(column)

    def _counted_table(self) -> Table | None:
        match = self.text.find(rf"{COUNTING} {DET}(?P<x>{TAB})")
        return self.text.table(match["x"]) if match else None

    def projection(self) -> None:
        """Everything named at the front, and after a new start (`... List the name.`)."""
        t = self.text
        match = t.find(
            rf"(?:all|full|complete|entire|every) (?:the |of the |available )?(?:information|info|detail|record|row|data|column|attribute|field|content)s?(?: (?:about|of|on|for|regarding|from) {DET}(?P<x>{TAB}))?(?! )"
        ) or t.find(
            rf"(?:all|full) (?:the |of the |available )?(?:information|info|detail|data|attribute|column)s?(?: (?:about|of|on|for|regarding|from) {DET}(?P<x>{TAB}))"
        )
        if match and (table := (t.table(match["x"]) if match["x"] else t.subject)) is not None:
            t.use(match)
            t.subject = table
            self.query.select += [Output(c) for c in table.columns]
            return
        outputs = self.query.select
        agg_words = "|".join(sorted(AGGS, key=len, reverse=True))
        distinct = False
        open_ = True
        wait: list[str] = []
        index = 0
        atoms = t.atoms
        people = t.find(r"how many person|number of person|how much person|total population")
        if people and t.subject is not None and not people[0].endswith("population"):
            column = next(
                (
                    c
                    for x in dict.fromkeys([t.subject, *t.near])
                    for c in x.columns
                    if c.words[-1:] == ("population",)
                ),
                None,
            )
            if column is not None:
                t.use(people)
                outputs.append(Output(column, "sum"))
        self._name_parts()
        while index < len(atoms):
            rest = " ".join(t.code.split()[index:])
            if match := re.match(
                rf"{COUNTING} (?P<d>(?:{DET}))(?:(?:type|kind) of )?(?:(?<=different )[a-z]+ |(?<=distinct )[a-z]+ )?(?P<x>{NAME}|V\d+)(?: (?P<y>{COL}))?",
                rest,
            ):
                if open_ or not outputs or not match[0].startswith("count"):
                    self._count(match, list(match["d"].split()))
                    index += self._strike(
                        index, match[0] if not match["y"] else match[0].rsplit(" ", 1)[0]
                    )
                    open_ = True
                    continue
            if (
                match := re.match(
                    rf"(?:{COUNTING}|number|count)(?: (?:them|it|there|of them|that|each))?(?= |$)",
                    rest,
                )
            ) and (match[0] != "count" or index):
                outputs.append(Output(None, "count", table=None))
                index += self._strike(index, match[0])
                continue
            if match := re.match(
                rf"(?P<aggs>(?:{agg_words})(?: ?(?:,|and|or|, and|as-well-as)? (?:the )?(?:{agg_words}))*)(?: (?:value|amount|number|of|for|in|estimated|expected|final|overall|recorded|annual|yearly|monthly|all))* {DET}(?P<cs>(?:{NAME})(?:(?: ,)?(?: and)? (?:the )?(?:{COL}))*)",
                rest,
            ):
                if open_ or not outputs:
                    done = self._aggregates(match, distinct)
                    if done:
                        index += self._strike(index, match[0])
                        open_ = True
                        continue
            word = atoms[index].token.lemma
            previous = atoms[index - 1].token.lemma if index else ""
            code = rest.split(" ", 1)[0] if rest else ""
            if atoms[index].used:
                if outputs:
                    open_ = open_ and False
                index += 1
                continue
            if word in ("different", "distinct", "unique", "unqiue"):
                distinct = True
            if re.fullmatch(NAME, code):
                if open_ or not outputs:
                    self._name(code, index)
                elif code[0] in "TB":
                    wait.append(code)
            elif (
                word in BOUNDARY
                and (outputs or index > 3)
                and not (
                    word in ("be", "do") and previous in ("what", "how", "which", "much", "many")
                )
            ):
                if word in ("be", "do", "have", "in", "for", "from", "by", "_") and not outputs:
                    pass
                else:
                    open_ = False
            elif word in ("be", "do") and previous in (
                "what",
                "how",
                "which",
                "who",
                "when",
                "where",
                "much",
                "many",
            ):
                pass
            elif word == "as" and not rest.startswith("as well"):
                open_ = False
            elif word in RESTART and word not in ("and", ",", "which", "order"):
                open_ = True
            index += 1
        if distinct:
            self.query.distinct = True

    def _name_parts(self) -> None:
        """`first, middle and last name`: the last is linked, the ones before speak of names too."""
        t = self.text
        match = t.find(
            rf"(?P<a>first|last|given|family) (?:, )?(?:(?P<b>middle) (?:, )?)?(?:and |or )(?:the )?(?P<c>{COL})"
        )
        if not match:
            return
        last = t.column(match["c"], [t.subject])
        if last is None or (
            last.words[-1:] not in (("name",), ("lname",), ("fname",))
            and not last.name.lower().endswith("name")
        ):
            return
        for group in ("a", "b"):
            if match[group]:
                options = [
                    c for c, _ in t.linker.columns((match[group], "name")) if c.table is last.table
                ]
                if options:
                    self.query.select.append(Output(options[0]))
                    t.use(match, group)

    def _strike(self, index: int, text: str) -> int:
        count = len(text.split())
        for atom in self.text.atoms[index : index + count]:
            atom.used = True
        return count

    def _count(self, match: re.Match[str], words: list[str]) -> None:
        t = self.text
        code = match["x"]
        distinct = (
            bool({"different", "distinct", "unique"} & set(words))
            or "type of" in match[0]
            or "kind of" in match[0]
        )
        if code[0] == "V":
            self.query.select.append(Output(None, "count", table=t.subject))
            t.atoms[int(code[1:])].used = False
            return
        ref = t.ref(code)
        table = t.table(code) if ref.best_table >= 0.5 else None
        column = t.column(code, [t.subject])
        prefer_column = column is not None and ref.best_column > ref.best_table + 0.05
        if match["y"] and table is not None and distinct:
            other = t.column(match["y"], [table])
            if other is not None and other.table is table:
                t.atoms[int(match["y"][1:])].used = True
                self.query.select.append(Output(other, "count", distinct=True))
                return
        if column is not None and (
            prefer_column
            or table is None
            or (distinct and column.table is not table and table is not t.subject)
        ):
            if (
                column.counts
                and not distinct
                and not column.primary
                and not column.foreign
                and re.match("the |total|number|how many", match[0])
            ):
                self.query.select.append(Output(column, "sum"))
                return
            self.query.select.append(Output(column, "count", distinct=True))
            return
        if table is not None:
            self.query.select.append(Output(None, "count", table=table))
            if t.subject is None or not self.query.select[:-1]:
                if not self.query.group_tables and not self.query.group:
                    t.subject = table

    def _aggregates(self, match: re.Match[str], distinct: bool) -> bool:
        t = self.text
        aggs = [AGGS[w] for w in re.split(r"[ ,]+", match["aggs"]) if w in AGGS]
        codes = re.findall(NAME, match["cs"])
        done = False
        for code in codes:
            column = t.column(code, [t.subject], numeric=True)
            if column is None:
                return done
            if not column.counts and column.kind is not Kind.DATE:
                if not done:
                    return False
                self.query.select.append(Output(column))
                continue
            for agg in dict.fromkeys(aggs):
                self.query.select.append(Output(column, agg))
            done = True
        return done

    def _name(self, code: str, index: int) -> None:
        t = self.text
        ref = t.ref(code)
        following = t.code.split()[index + 1 : index + 2]
        column = t.column(code, [t.subject])
        asked = (
            index > 1 and t.atoms[index - 1].token.lemma in ("what", "which") and self.query.select
        )
        is_table = code[0] == "T" or (code[0] in "BW" and ref.best_table >= ref.best_column - 0.001)
        if code[0] == "B" and column is not None and is_table:
            previous = t.atoms[index - 1].token.lemma if index else ""
            if previous in ("the", "a", "its", "their", "each") and index > 1:
                previous = t.atoms[index - 2].token.lemma
            listed = previous in ("and", ",", "or") and any(
                o.column is not None for o in self.query.select
            )
            bound = (
                following
                and following[0] in ("of", "for", "and", ",")
                and column.table in t.near
                and t.owner(index) is not None
            )
            if (listed or bound) and column.table is not t.table(code):
                is_table = False
        t.atoms[index].used = True
        last = t.atoms[index - 1] if index else None
        if (
            not is_table
            and last is not None
            and last.ref is not None
            and last.kind in ("C", "B")
            and last.used
        ) and (
            self.query.select
            and self.query.select[-1].column is not None
            and ref.best_column < 0.95
        ):
            return  # a compound of two linked words names one column
        if is_table:
            if following and re.fullmatch(COL, following[0]):
                return
            self.flags.add("named_table")
            table = t.table(code)
            first = self.query.select[0].column if self.query.select else None
            if (
                (asked or self._beside(index))
                and table is not None
                and first is not None
                and table is not first.table
            ):
                self.query.select += [Output(c) for c in shown(table)]
            return
        if column is not None and all(
            o.column is not column or o.aggregate not in (None, "count") for o in self.query.select
        ):
            self.query.select.append(Output(column))
            self.named[id(self.query.select[-1])] = code

    def _beside(self, index: int) -> bool:
        """Whether a table is asked for beside a column: `the names of X and their Y`."""
        words = [atom.token.lemma for atom in self.text.atoms[:index]]
        determined = False
        while words and words[-1] in ("the", "their", "its", "corresponding", "respective"):
            determined = words.pop() != "the" or determined
        following = [atom.token.lemma for atom in self.text.atoms[index + 1 : index + 3]]
        they = following in (["that", "they"], ["they"]) or following[:1] == ["they"]
        return words[-1:] == ["and"] and (determined or they)
