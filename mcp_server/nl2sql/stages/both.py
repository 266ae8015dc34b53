"""Things of which two things are said that no one row shows: *have an open order and also a late
one*, *borrowed a book but never returned one*.

Each is asked as a question of its own; the things that meet both are those that are found twice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from mcp_server.nl2sql.conversation.standing import Standing
from mcp_server.nl2sql.relations.asking import Related, related
from mcp_server.nl2sql.sql.joined import NoJoinError, identifier
from mcp_server.nl2sql.stages.measured import counted_links
from mcp_server.nl2sql.stages.parts import Parts, Things
from mcp_server.nl2sql.stages.things import SURE, Asked, asked, of_things

_PRONOUN = r"(?:(?:that|who|which) )?"
_HAVING = re.compile(r"^(?:have|has|had|with|having|own|owns|owned|got)\b", re.IGNORECASE)
_BOTH = re.compile(
    r"^(?P<said>(?:.+? )?)both (?P<one>.+?),? and(?: also)? (?P<other>.+)$", re.IGNORECASE
)
_ALSO = re.compile(
    r"^(?P<one>.+?),? (?:and also|and at the same time|as well as|and additionally|but also|and) "
    r"(?P<other>.+?)(?: as well| too| also)?$",
    re.IGNORECASE,
)
_BUT = re.compile(
    rf"^(?P<one>.+?),? (?:but|yet|and|while) (?:still )?{_PRONOUN}(?P<other>"
    r"(?:(?:have|has|had|are|were|is|was|do|did|does)(?: not)? |never |not |no |without ).+)$",
    re.IGNORECASE,
)
_NO_MORE = re.compile(
    r"(?: in| of| on| at| for| to)? (?:any|any of them|at all|one|anything)$", re.IGNORECASE
)
_DENIALS = (
    (re.compile(r"^(?P<have>have|has|had) (?:never|not|not yet)(?: yet)? (?P<rest>.+)$", re.I),
     "{have} {rest}"),
    (re.compile(r"^(?:do|did|does) not (?:yet )?have (?:any |an? )?(?P<rest>.+)$", re.I),
     "have {rest}"),
    (re.compile(r"^(?P<have>have|has|had) (?:no|not any|not one|not an?)(?: single)? (?P<rest>.+)$",
                re.I), "{have} {rest}"),
    (re.compile(r"^(?:never|not) (?P<rest>\w+ed\b.*)$", re.I), "{rest}"),
    (re.compile(r"^(?:no|without)(?: any| an?)? (?P<rest>.+)$", re.I), "have {rest}"),
)  # fmt: skip
_ONE = re.compile(r"^(an? [\w-]+) one$", re.IGNORECASE)
_CONTRACTED = re.compile(r"n['’]t\b", re.IGNORECASE)
_DENYING = re.compile(r"\b(?:not|never|no|none|nothing|without|neither|nor)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said of some things, and whether it is denied."""

    text: str
    denied: bool = False


def both(question: str, parts: Parts) -> Related | None:
    """The query of a question that says two things of some; None for any other."""
    text = _CONTRACTED.sub(" not", " ".join(question.split()))
    if not _LIKELY.search(text):
        return None
    told = related(question, parts.linker, parts.graph)
    if told is not None and told.special:
        return None  # it has read both clauses, each over the way that its own words name
    for of in asked(text, "", parts):
        for two in _two(of.rest):
            met = [_met(each, of, parts) for each in two]
            if met[0] is None or met[1] is None:
                continue
            conditions = [*met[0][0], *met[1][0]]
            sure = min(met[0][1], met[1][1])
            return of_things(of, conditions, SURE * sure)
    return None


_LIKELY = re.compile(
    r"\bboth\b|\b(?:and also|at the same time|as well|but also|too|additionally)\b"
    r"|\b(?:but|yet|and|while)\b.*\b(?:not|never|no|without)\b",
    re.IGNORECASE,
)


def _two(rest: str) -> Iterator[tuple[_Said, _Said]]:
    if (match := _BOTH.match(rest)) is not None:
        begun, one = match["said"], match["one"]
        if not _DENYING.search(begun):
            yield _Said(f"{begun}{one}"), _Said(f"{begun}{_whole(match['other'], one)}")
        return
    if (match := _BUT.match(rest)) is not None:
        for pattern, form in _DENIALS:
            denied = pattern.match(match["other"])
            if denied is not None:
                said = _NO_MORE.sub("", form.format(**denied.groupdict()))
                yield _Said(match["one"]), _Said(said, denied=True)
                return
    if (match := _ALSO.match(rest)) is not None and _ALSO_SAID.search(rest):
        one, other = match["one"], match["other"]
        having = _HAVING.match(one)
        if _DENYING.search(other) or _DENYING.search(one):
            return
        if having is not None and re.match(r"^(?:an?|some|at least one) ", other, re.IGNORECASE):
            other = f"{having[0]} {_whole(other, one)}"
        yield _Said(one), _Said(other)


_ALSO_SAID = re.compile(
    r"\b(?:and also|at the same time|as well as|and additionally|but also)\b"
    r"|\b(?:as well|too|also)$",
    re.IGNORECASE,
)


def _whole(other: str, one: str) -> str:
    """`A late one`, with what it is one of."""
    noun = one.split()[-1]
    return _ONE.sub(lambda match: f"{match[1]} {noun}", other)


def _met(said: _Said, of: Asked, parts: Parts) -> tuple[list[exp.Expr], float] | None:
    """The conditions that things meet of which something is said."""
    links = counted_links(of, said.text, parts)
    if links is not None:
        return [_denied(links[0]) if said.denied else links[0]], links[1]
    for question in (f"which {of.words} {said.text}", f"how many {of.words} {said.text}"):
        found = parts.answer(question)
        if not found.heard:
            return None
        conditions = None if found.tree is None else _conditions(found.tree, of.things, parts)
        if conditions is not None:
            if said.denied:
                own = [c for c in conditions if c not in of.things.where]
                if not own:
                    return None
                return [_denied(own[0] if len(own) == 1 else exp.and_(*own))], found.sure
            return conditions, found.sure
    return None


def _denied(condition: exp.Expr) -> exp.Expr:
    if not isinstance(condition, exp.In):
        return exp.Not(this=exp.paren(condition))
    query = condition.args["query"].this  # a key that is missing would leave nothing
    known = exp.Not(this=exp.Is(this=query.expressions[0].copy(), expression=exp.Null()))
    return exp.Not(this=exp.In(this=condition.this, query=query.where(known).subquery()))


def _conditions(tree: exp.Query, things: Things, parts: Parts) -> list[exp.Expr] | None:
    """What a query asks of things: its conditions where it is of them alone, or else that they are
    among those that it finds.
    """
    try:
        standing = Standing(tree, parts.graph, parts.linker.profile)
        select = standing.select
        if things.table not in standing.tables or select.args.get("limit"):
            return None
        shown = [column for each in select.expressions for column in standing.columns(each)]
        if any(column.table is not things.table for column in shown):
            return None
        counts = [each for each in select.expressions if each.find(exp.AggFunc)]
        if not shown and (len(counts) != 1 or standing.tables != [things.table]):
            return None
        if standing.tables == [things.table] and not select.args.get("group"):
            for column in select.find_all(exp.Column):
                if column.parent_select is select:
                    column.set("table", None)
            return standing.conditions() or None
        key = standing.column(things.key)
    except NoJoinError:
        return None
    group = select.args.get("group")
    if group is not None and key.sql() not in {each.sql() for each in group.expressions}:
        return None
    for part in ("order", "distinct"):
        select.set(part, None)
    select.set("expressions", [key])
    own = exp.column(identifier(things.key.name))
    return [exp.In(this=own, query=select.subquery())]
