# ruff: noqa: E501, SIM102 -- a pattern reads best on one line
"""A question as atoms: plain words, and linked spans coded by what they may be.

`names of singers older than 30` becomes `C0 of T2 older than N5`: C a column, T a table, B either,
V a value, W a value that is also a name, Q quoted text that no column holds, N a number, D a date.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.lexicon import FILLER, POLITE, STOP
from mcp_server.nl2sql.linking import Linker, Ref
from mcp_server.nl2sql.profile_model import Column, Kind, Table
from mcp_server.nl2sql.tokens import Mark, Token, lemma

COL = r"[CBW]\d+"
TAB = r"[TBW]\d+"
VAL = r"[VWQD]\d+"
NUM = r"N\d+"
NAME = r"[CTBW]\d+"
DET = r"(?:(?:the|a|an|all|any|every|its|their|his|her|our|these|those|that|of|some|different|distinct|unique|corresponding|respective) )*"
GAP = 0.2
PRONOUNS = frozenset(["his", "her", "he", "she", "one", "him", "hers", "our", "my", "your", "s"])


@dataclass(slots=True)
class Atom:
    """One place of the question."""

    token: Token
    ref: Ref | None
    kind: str
    used: bool = False


@dataclass(slots=True)
class Text:
    """The atoms of a question and which of them are understood."""

    atoms: list[Atom]
    linker: Linker
    graph: JoinGraph
    subject: Table | None = None
    near: list[Table] = field(default_factory=list)

    @property
    def code(self) -> str:
        return " ".join(
            "_"
            if atom.used
            else f"{atom.kind}{index}"
            if atom.kind
            else (atom.token.lemma.replace(" ", "-") or "_")
            for index, atom in enumerate(self.atoms)
        )

    def find(self, pattern: str) -> re.Match[str] | None:
        return re.search(rf"(?<!\S)(?:{pattern})(?!\S)", self.code)

    def findall(self, pattern: str) -> Iterable[re.Match[str]]:
        """Matches one after the other, each on what the ones before left."""
        seen = set()
        while (match := self.find(pattern)) and match.span() not in seen:
            seen.add(match.span())
            yield match

    def use(self, match: re.Match[str], *groups: str | int) -> None:
        for group in groups or (0,):
            if match.start(group) < 0:
                continue
            first = len(match.string[: match.start(group)].split())
            for atom in self.atoms[first : first + len(match.group(group).split())]:
                atom.used = True

    def place(self, match: re.Match[str], group: str | int = 0) -> int:
        return len(match.string[: match.start(group)].split())

    def ref(self, code: str) -> Ref:
        found = self.atoms[int(code[1:])].ref
        assert found is not None
        return found

    def number(self, code: str) -> int | float:
        value = self.atoms[int(code[1:])].token.value
        return 0 if value is None else value

    def table(self, code: str) -> Table | None:
        ref = self.atoms[int(code[1:])].ref
        return ref.tables[0][0] if ref is not None and ref.tables else None

    def column(
        self, code: str, prefer: Sequence[Table | None] = (), numeric: bool = False
    ) -> Column | None:
        """The column that an atom names, with the tables that the words around it name first."""
        index = int(code[1:])
        ref = self.atoms[index].ref
        if ref is None or not ref.columns:
            return None
        owner = self.owner(index)
        wanted = [t for t in (owner, *prefer, self.subject) if t is not None]
        if not numeric and wanted:
            generic = _generic(ref, wanted[0])
            if generic is not None:
                return generic
        best, best_weight = None, -9.0
        for column, score in ref.columns:
            weight = score - 0.05 * column.foreign
            if column.table in wanted:
                weight += 0.5 - 0.12 * min(wanted.index(column.table), 3)
            elif column.table in self.near:
                weight += 0.12
            if wanted and column.table is not wanted[0]:
                weight -= 0.05 * min(self.graph.distance(wanted[0], column.table), 6)
            if numeric and not column.counts and column.kind is not Kind.DATE:
                weight -= 0.5
            if weight > best_weight:
                best, best_weight = column, weight
        return best

    def owner(self, index: int) -> Table | None:
        """The table just before an atom (`dog names`) or bound after it (`names of dogs`)."""
        code = _codes(self.atoms)
        if index and code[index - 1][0] in "TB" and code[index - 1][1:].isdigit():
            if not self._listed(index - 1):
                return self.table(code[index - 1])
        ref = self.atoms[index].ref
        if ref is not None and ref.end - ref.start > 1:
            words = tuple(lemma(w) for w in ref.text.split())
            for table in self.linker.profile.tables:
                if words[: len(table.words)] == table.words and len(words) > len(table.words):
                    return table
        rest = " ".join(code[index + 1 :])
        match = re.match(
            rf"(?:(?:,|and|or|as|well|also|along|with|both|{DET.strip()}|(?:number|average|maximum|minimum|total) of|[CBW]\d+(?= ,| and| of| for| or)) )*"
            rf"(?:of|for|from|about|in) (?:(?:the|a|an|all|any|each|every|every|these|those|different|distinct|N\d+|most|least|\w+est|expensive|recent|common|popular) )*(?P<t>[TB]\d+)",
            rest,
        )
        return self.table(match["t"]) if match else None

    def _listed(self, index: int) -> bool:
        atom = self.atoms[index]
        return atom.ref is not None and atom.ref.best_column > atom.ref.best_table

    def unused(self) -> list[str]:
        known = STOP | FILLER | POLITE | PRONOUNS
        return [
            a.token.text
            for a in self.atoms
            if not a.used and a.token.mark is not Mark.PUNCTUATION and a.token.lemma not in known
        ]


def _codes(atoms: Sequence[Atom]) -> list[str]:
    return [f"{a.kind}{i}" if a.kind else (a.token.lemma or "_") for i, a in enumerate(atoms)]


def _generic(ref: Ref, owner: Table) -> Column | None:
    words = [w for w in ref.text.lower().split() if w not in ("the", "of")]
    if len(words) != 1:
        return None
    word = lemma(words[0])
    if word == "id":
        return owner.key or next((c for c in owner.columns if c.words[-1:] == ("id",)), None)
    if word == "name":
        return name_of(owner)
    return None


def name_of(table: Table) -> Column | None:
    """The column that rows are called by."""
    best, best_score = None, 0.0
    for column in table.columns:
        if column.kind is not Kind.TEXT or column.foreign:
            continue
        low = column.name.lower()
        score = 0.0
        if column.words == ("name",):
            score = 5
        elif column.words[-1:] == ("name",) and set(column.words[:-1]) <= set(table.words):
            score = 4
        elif column.words[-1:] == ("name",) or low.endswith("name"):
            score = 2 + 1.0 * any(w in low for w in table.words)
        elif low in ("title",) or column.words[-1:] == ("title",):
            score = 1.8
        elif set(column.words) and set(column.words) <= set(table.words):
            score = 1.5
        elif column.words[-1:] == ("description",):
            score = 0.3
        if score > best_score:
            best, best_score = column, score
    return best


def shown(table: Table) -> list[Column]:
    """What a row is shown by when the question does not say."""
    column = name_of(table)
    if column is not None and column.words[0] in ("first", "last", "middle", "given", "family"):
        parts = [c for c in table.columns if c.words in (("first", "name"), ("last", "name"))]
        if len(parts) == 2:
            return parts
    if column is None:
        column = next((c for c in table.columns if c.words == table.words), None)
    if column is None:
        column = table.key or table.columns[0]
    return [column]


def read(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> Text:
    """The atoms of a question."""
    atoms: list[Atom] = []
    position = 0
    for ref in linker.refs(tokens):
        atoms += [_plain(token) for token in tokens[position : ref.start]]
        span = tokens[ref.start : ref.end]
        token = (
            span[0]
            if len(span) == 1
            else Token(ref.text, "-".join(t.lemma for t in span), Mark.WORD)
        )
        atoms.append(Atom(token, ref, _kind(ref, token)))
        position = ref.end
    atoms += [_plain(token) for token in tokens[position:]]
    text = Text(atoms, linker, graph)
    for index, atom in enumerate(atoms):
        if atom.kind in ("T", "B", "W") and (table := text.table(f"{atom.kind}{index}")):
            if atom.ref is not None and atom.ref.tables[0][1] >= 0.7:
                text.near.append(table)
    return text


def _plain(token: Token) -> Atom:
    kind = {Mark.NUMBER: "N", Mark.DATE: "D", Mark.QUOTED: "Q"}.get(token.mark, "")
    return Atom(token, None, kind)


def _kind(ref: Ref, token: Token) -> str:
    if ref.values:
        return "W" if max(ref.best_column, ref.best_table) >= 0.75 else "V"
    if token.mark is Mark.QUOTED:
        return "Q"
    column, table = ref.best_column, ref.best_table
    is_column = column > 0 and column >= table - GAP
    is_table = table > 0 and table >= column - GAP
    return "B" if is_column and is_table else "C" if is_column else "T" if is_table else ""
