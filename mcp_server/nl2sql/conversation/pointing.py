"""Questions about the rows of the last answer: `who owns them`, `their prices`, `the cheapest one`.

Such a question is read with the name of those rows in the place of the pronoun, and then holds for
the rows that were found before.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.conversation.standing import Standing
from mcp_server.nl2sql.conversation.turns import Turn
from mcp_server.nl2sql.database import parsed
from mcp_server.nl2sql.linking.heard import may_do, role_words, root
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.matching import SURELY
from mcp_server.nl2sql.schema.display import are_people, shown
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Column, Table
from mcp_server.nl2sql.sql.joined import NoJoinError, identifier
from mcp_server.nl2sql.sql.joined import named as named_table
from mcp_server.nl2sql.words.lexicon import SUPERLATIVES
from mcp_server.nl2sql.words.tokens import tokenize

_THEM = r"(?:them|those|these)"
_BEST = "|".join(word for word in SUPERLATIVES if word.endswith("st"))
_WAYS = (
    (
        re.compile(
            rf"^(?:(?:show|keep|list|give)(?: me)? )?(?:only|just) (?:{_THEM}|the ones)"
            r" (?:who|that|which) (?P<met>.+)$",
            re.IGNORECASE,
        ),
        "which {many} {met}",
    ),
    (re.compile(r"\b(?:that|this) one\b", re.IGNORECASE), "the {one}"),
    (re.compile(rf"\beach of {_THEM}\b|\beach one\b", re.IGNORECASE), "each {one}"),
    (
        re.compile(rf"\b(?P<much>most|fewest|least|many) of {_THEM}\b", re.IGNORECASE),
        "{much} {many}",
    ),
    (
        re.compile(rf"\b(?P<best>(?:most|least) \w+|{_BEST}) ones?$", re.IGNORECASE),
        "{best} {one}",
    ),
    (re.compile(r"\b(?:their|its|his|her) (?P<what>[\w ]+)$", re.IGNORECASE),
     "the {what} of the {many}"),
    (re.compile(r"\b(?:them|they|those|these|he|she)\b|\bit\b(?! take)", re.IGNORECASE),
     "the {many}"),
    (re.compile(r"(?<!is )(?<!are )(?<!were )(?<!was )\bthere$", re.IGNORECASE), "in the {many}"),
)  # fmt: skip
_WHO_DID = re.compile(
    r"^who (?:is |are |was |were )?(?:the )?(?P<did>\w+?)(?: (?:of|by))?"
    r" (?:them|those|these|it|each|(?:that|this)(?: one| \w+)?)$",
    re.IGNORECASE,
)
_ITS = re.compile(
    r"^(?:(?:what|which)(?: is| was| are|['’]s) )?(?:the )?(?P<what>[\w ]+?)"
    r" (?:of|for|in|at|on) (?:that|this)(?: one)?$"
    r"|^(?:what|which)(?: is| was| are|['’]s) its (?P<own>[\w ]+)$",
    re.IGNORECASE,
)
_CLEARLY = re.compile(
    r"\b(?:do|did|does|are|were|have|had|will|can) they\b|\bthere$"
    r"|\b(?:that|this) one\b|^(?:only|just) (?:them|those|these|the ones) (?:who|that|which)\b"
    r"|^who (?:\w+ )?\w+ (?:them|those|these|it)$|\b(?:of|by|in|for|to|at|with) (?:them|these)$",
    re.IGNORECASE,
)
_WHO = re.compile(r"^who\b", re.IGNORECASE)
_AND = re.compile(r"^(?:and|so|but|ok(?:ay)?|then|now)\b[\s,]*", re.IGNORECASE)
_END = re.compile(r"[\s?.!]+$")


@dataclass(frozen=True, slots=True)
class Pointing:
    """A question with the rows of the last answer named. table: what they are rows of."""

    question: str
    table: Table
    last: Standing
    clearly: bool
    """Whether it cannot mean rows that the question names itself."""
    only: bool = False
    """Whether it asks for some of those rows."""

    def narrowed(self, sql: str) -> exp.Query | None:
        """The query of that question, of no other rows than those; None where it reads others."""
        tree = parsed.tree(sql)
        if not isinstance(tree, exp.Query):
            return None
        tree = tree.copy()
        if self._shows_no_people(tree) or (self.only and not _restricts(tree)):
            return None
        if not self._are_some():
            return tree
        named = [each for each in tree.find_all(exp.Table) if each.name == self.table.name]
        if not named:
            return self._referring(tree)
        select = named[0].parent_select if len(named) == 1 else None
        if not isinstance(select, exp.Select):
            return None
        alias = named[0].alias_or_name if select.args.get("joins") else ""
        if self.last.tables == [self.table] and not _is_cut(self.last):
            for condition in self.last.conditions():
                select.where(self._of(condition, alias), copy=False)
            return tree
        return self._within(tree, select, self.table.key, alias)

    def _shows_no_people(self, tree: exp.Query) -> bool:
        """Whether it is asked who, and a query shows those rows themselves, which are no people."""
        if not _WHO.match(self.question) or are_people(self.table):
            return False
        read = [each.name for each in tree.find_all(exp.Table) if each.parent_select is tree]
        return read == [self.table.name]

    def _referring(self, tree: exp.Query) -> exp.Query | None:
        """The query of rows that refer to those of the last answer, which it does not read."""
        found = [
            (each, key.column)
            for each in tree.find_all(exp.Table)
            for key in self.last.graph.keys_to(self.table)
            if key.column.table.name == each.name and len(key.pairs) == 1
        ]
        select = found[0][0].parent_select if len(found) == 1 else None
        if not isinstance(select, exp.Select):
            return None
        table, column = found[0]
        alias = table.alias_or_name if select.args.get("joins") else ""
        return self._within(tree, select, column, alias)

    def _within(
        self, tree: exp.Query, select: exp.Select, column: Column | None, alias: str
    ) -> exp.Query | None:
        """The query of rows of which a column holds a key of the rows found before."""
        keys = None if self.table.key is None else _keys(self.last, self.table.key)
        if keys is None or column is None:
            return None
        key = exp.column(identifier(column.name), table=alias or None)
        select.where(exp.In(this=key, query=keys.subquery()), copy=False)
        return tree

    def _are_some(self) -> bool:
        """Whether the last answer was not about all rows of the table."""
        select = self.last.select
        return _is_cut(self.last) or bool(select.args.get("where") or select.args.get("joins"))

    def _of(self, condition: exp.Expr, alias: str) -> exp.Expr:
        """A condition of the last query, said of the table in another."""
        own = [c for c in condition.find_all(exp.Column) if c.parent_select is self.last.select]
        copy = condition.copy()
        same = {each.sql() for each in own}
        for column in list(copy.find_all(exp.Column)):
            if column.sql() in same and column.find_ancestor(exp.Select) is None:
                column.set("table", identifier(alias) if alias else None)
        return copy


def pointing(
    question: str, context: Sequence[Turn], linker: Linker, graph: JoinGraph
) -> Pointing | None:
    """What a question asks of the rows of the last answer; None where it does not point at them."""
    last = parsed.tree(context[-1][1]) if context else None
    if not isinstance(last, exp.Query):
        return None
    try:
        standing = Standing(last, graph, linker.profile)
    except NoJoinError:
        return None
    text = _END.sub("", _AND.sub("", " ".join(question.split())))
    table = _spoken_of(standing)
    for pattern, form in _WAYS:
        match = pattern.search(text)
        if match is None:
            continue
        if _named_before(text[: match.start()], match[0], table, linker):
            return None
        if "best" in match.groupdict():  # another row than the one that was the best before
            standing.select.set("order", None)
            standing.select.set("limit", None)
        one = " ".join(table.words)
        said = form.format(one=one, many=f"{one}s", **match.groupdict())
        whole = f"{text[: match.start()]}{said}{text[match.end() :]}"
        only = "met" in match.groupdict()
        return Pointing(whole, table, standing, _CLEARLY.search(text) is not None, only)
    return None


def who_did(
    question: str, context: Sequence[Turn], linker: Linker, graph: JoinGraph
) -> exp.Select | None:
    """`Who owns them`: those people to whom a key of the rows leads that the verb names, or the
    only key that leads to people.
    """
    match = _WHO_DID.match(_END.sub("", question.strip()))
    last = parsed.tree(context[-1][1]) if match is not None and context else None
    if match is None or not isinstance(last, exp.Query):
        return None
    try:
        standing = Standing(last, graph, linker.profile)
        subject = _spoken_of(standing)
        leading = [
            key
            for key in linker.profile.foreign_keys
            if key.column.table is subject and not key.beside
        ]
        keys = [key for key in leading if are_people(key.target.table)]
        said = root(match["did"])
        named = [key for key in keys if said == root(key.column.words[0])] or [
            key
            for key in leading  # who is so called is somebody, whatever their table is called
            if said in {root(word) for word in role_words(key.column, key.target.table)}
        ]
        plain = [key for key in keys if may_do(said, key)]
        if len(named) != 1 and (len(plain) != 1 or len(keys) != 1):
            return None
        key = (named or plain)[0]
        rows = _keys(standing, key.column)
    except NoJoinError:
        return None
    if rows is None:
        return None
    people = key.target.table
    found = exp.select(*(exp.column(identifier(c.name)) for c in shown(people)))
    among = exp.In(this=exp.column(identifier(key.target.name)), query=rows.subquery())
    return found.from_(named_table(people)).where(among)


def of_that_one(
    question: str, context: Sequence[Turn], linker: Linker, graph: JoinGraph
) -> exp.Select | None:
    """`What is the address of that one`: a column of the rows found before, or of what they refer
    to, in the place of what was shown.
    """
    match = _ITS.match(_END.sub("", _AND.sub("", " ".join(question.split()))))
    last = parsed.tree(context[-1][1]) if match is not None and context else None
    if match is None or not isinstance(last, exp.Query):
        return None
    try:
        standing = Standing(last, graph, linker.profile)
        column = _column_of(match["what"] or match["own"], _spoken_of(standing), standing, linker)
        if column is None:
            return None
        shown_column = standing.column(column)
    except NoJoinError:
        return None
    select = standing.select
    group = select.args.get("group")
    if group is not None:
        written = {each.sql() for each in group.expressions}
        if shown_column.sql() not in written:
            select.group_by(shown_column.copy(), copy=False)
    select.set("expressions", [shown_column])
    return select


def _column_of(what: str, table: Table, standing: Standing, linker: Linker) -> Column | None:
    """The one column of rows, or else of what they refer to, that words name or begin to."""
    words = tuple(token.lemma for token in tokenize(what))
    near = [each for each in linker.profile.tables if standing.reaches(each) and not each.view]
    for tables in ([table], [each for each in near if each is not table]):
        named = [c for c, s in linker.columns(words) if s >= SURELY and c.table in tables]
        partly = [
            column for each in tables for column in each.columns
            if set(words) <= set(column.words) and not column.foreign and not column.primary
        ]  # fmt: skip
        for found in (named, partly):
            if len(found) == 1 and found[0].made is None:
                return found[0]
            if found:
                return None
    return None


def _spoken_of(standing: Standing) -> Table:
    """What the last answer was about: what it counts or measures, or else what it shows."""
    outputs = standing.select.expressions
    if any(each.find(exp.AggFunc) for each in outputs):
        graph = standing.graph
        whole = [
            table
            for table in standing.tables
            if all(table is each or graph.single(table, each) for each in standing.tables)
        ]
        return whole[0] if whole else standing.main
    shown = [column for each in outputs for column in standing.columns(each)]
    return shown[0].table if shown else standing.main


def _named_before(before: str, pronoun: str, table: Table, linker: Linker) -> bool:
    """Whether a pronoun stands for what the question itself has named."""
    refs = linker.refs(linker.prepare(tokenize(before)))
    named = [each for ref in refs for each, score in ref.tables if score >= SURELY]
    possessive = pronoun.lower().startswith(("their", "its", "his", "her"))
    return table in named or (possessive and bool(named))


def _restricts(tree: exp.Query) -> bool:
    """Whether a query leaves out some rows."""
    return any(tree.args.get(part) for part in ("where", "having", "joins", "limit"))


def _is_cut(last: Standing) -> bool:
    return any(last.select.args.get(part) for part in ("having", "limit", "offset"))


def _keys(last: Standing, key: Column) -> exp.Select | None:
    """What a column of the rows that the last answer was about holds."""
    select = last.select.copy()
    column = last.column(key)
    group = select.args.get("group")
    if group is not None:
        if _is_cut(last) and column.sql() not in {each.sql() for each in group.expressions}:
            return None
        if not _is_cut(last):
            select.set("group", None)
    if not select.args.get("limit"):
        select.set("order", None)
    select.set("distinct", None)
    select.set("expressions", [column])
    return select
