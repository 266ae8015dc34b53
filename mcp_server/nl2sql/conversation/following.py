"""A question that builds on the last answer, as that answer's query with a part changed.

    following("and in Paris?", [("how many customers are in Rome", "select ...")], ...)

The last query is taken apart by its syntax tree, whoever wrote it, so the same works after a query
of a model's or of a person's.
"""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from mcp_server.nl2sql.conversation import phrases
from mcp_server.nl2sql.conversation.edits import counted, counts, edited, recolumned
from mcp_server.nl2sql.conversation.naming import Names
from mcp_server.nl2sql.conversation.restricting import opposite, restricted
from mcp_server.nl2sql.conversation.standing import Standing
from mcp_server.nl2sql.conversation.turns import Turn
from mcp_server.nl2sql.database import parsed
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.sql.joined import NoJoinError

EDITED, RESTRICTED, PARTLY = 0.9, 0.85, 0.4
"""How sure a change is: of the query's form, of its conditions, where words were left over."""


@dataclass(frozen=True, slots=True)
class Followed:
    """The changed query. corrects: whether the last answer was said to be wrong."""

    tree: exp.Query
    confidence: float
    unused: tuple[str, ...] = ()
    corrects: bool = False


def following(
    question: str,
    context: Sequence[Turn],
    linker: Linker,
    graph: JoinGraph,
    today: datetime.date,
) -> Followed | None:
    """What a question asks of the last answer; None where it stands for itself, or says nothing."""
    if not context:
        return None
    said = phrases.said(question)
    last = parsed.tree(context[-1][1])
    if not isinstance(last, exp.Query):
        return None
    found = _changed(said, last, linker, graph, today)
    if found is not None and not found.unused:
        return found
    return _twice(said, last, linker, graph, today) or found


def _changed(
    said: phrases.Said, last: exp.Query, linker: Linker, graph: JoinGraph, today: datetime.date
) -> Followed | None:
    for way in (_corrected, _edited, _counted_some, _excluded, _restricted):
        found = _tried(lambda way=way: way(said, last, linker, graph, today))  # type: ignore[misc]
        if found is not None:
            return found
    return None


def _twice(
    said: phrases.Said, last: exp.Query, linker: Linker, graph: JoinGraph, today: datetime.date
) -> Followed | None:
    """Two changes in one: `sort by price, highest first, and only the top 3`."""
    for joint in phrases.JOINT.finditer(said.text):
        one = phrases.said(said.text[: joint.start()])
        one = phrases.Said(one.text, one.openers | said.openers, one.back or said.back)
        first = _changed(one, last, linker, graph, today)
        if first is None or first.unused:
            continue
        other = phrases.said(f"and {said.text[joint.end() :]}")
        second = _changed(other, first.tree, linker, graph, today)
        if second is not None and not second.unused:
            return replace(second, confidence=min(first.confidence, second.confidence))
    return None


def _tried(way: Callable[[], Followed | None]) -> Followed | None:
    try:
        return way()
    except NoJoinError:
        return None


def _names(last: exp.Query, linker: Linker, graph: JoinGraph) -> Names:
    return Names(Standing(last, graph, linker.profile), linker)


def _corrected(
    said: phrases.Said, last: exp.Query, linker: Linker, graph: JoinGraph, today: datetime.date
) -> Followed | None:
    if not said.corrects:
        return None
    tree = recolumned(said.text, _names(last, linker, graph))
    return None if tree is None else Followed(tree, EDITED, corrects=True)


def _edited(
    said: phrases.Said, last: exp.Query, linker: Linker, graph: JoinGraph, today: datetime.date
) -> Followed | None:
    tree = edited(said, _names(last, linker, graph))
    return None if tree is None else Followed(tree, EDITED, corrects=said.corrects)


def _counted_some(
    said: phrases.Said, last: exp.Query, linker: Linker, graph: JoinGraph, today: datetime.date
) -> Followed | None:
    match = phrases.COUNT_OF.match(said.text)
    if match is None:
        return None
    names = _names(last, linker, graph)
    found = restricted(phrases.Said(match["rest"], frozenset({"only"}), True), names, today)
    if found is None:
        return None
    grouped = names.standing.select.args.get("group") and counts(names.standing)
    tree = found.tree if grouped else counted(names.standing)
    return Followed(tree, PARTLY if found.unused else RESTRICTED, found.unused)


def _excluded(
    said: phrases.Said, last: exp.Query, linker: Linker, graph: JoinGraph, today: datetime.date
) -> Followed | None:
    """All rows but those: `leave out the cancelled ones`."""
    match = phrases.EXCEPT.match(said.text)
    if match is None:
        return None
    names = _names(last, linker, graph)
    before = {each.sql() for each in names.standing.conditions()}
    found = restricted(phrases.Said(match["what"], frozenset({"only"}), True), names, today)
    if found is None:
        return None
    held = names.standing.conditions()
    new = [each for each in held if each.sql() not in before]
    if not new or len(held) - len(new) < len(before):
        return None
    kept = [each for each in held if each not in new]
    names.standing.meet([*kept, opposite(exp.and_(*new, copy=True))])
    sure = PARTLY if found.unused else RESTRICTED
    return Followed(names.standing.select, sure, found.unused, said.corrects)


def _restricted(
    said: phrases.Said, last: exp.Query, linker: Linker, graph: JoinGraph, today: datetime.date
) -> Followed | None:
    asks_who = phrases.WHO_DID.match(said.text) is not None
    ones = not asks_who and phrases.THE_ONES.match(said.text) and said.back
    if not (said.openers or ones or phrases.FRAGMENT.match(said.text)):
        return None
    found = restricted(said, _names(last, linker, graph), today)
    if found is None:
        return None
    sure = PARTLY if found.unused else RESTRICTED
    return Followed(found.tree, sure, found.unused, said.corrects)
