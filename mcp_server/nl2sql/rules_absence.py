"""Rules for what is absent: `without orders`, `that do not have any pet`, `except those in "
"2014`."""

from mcp_server.nl2sql import rules_filter, rules_value
from mcp_server.nl2sql.logical import Condition, Linked
from mcp_server.nl2sql.profile_model import Table
from mcp_server.nl2sql.question import Question, letters, tab


def absent(question: Question) -> Linked | None:
    """`that do not have any pet`, `without orders`, `not used by any document`."""
    gap = (
        r"(?: (?!(?:and|or|but|whose|who|that|which|where|than|more|less|least|most) "
        r")[a-z-]+){0,5}?"
    )
    match = question.search(
        rf"(?:(?:that|which|who|but|and|whose|where|there) )*(?:(?:do|be|have|has|had) )?"
        rf"(?:not|never|without|no|nor|except|excluding){gap}"
        rf"(?P<inner>(?: @[a-z]*[vq][a-z]*\d+)* {tab('t')})"
    )
    if match is None:
        return None
    index = int(match["t"])
    table = question.table(index)
    if table is question.subject or table is None:
        later = (
            question.table(other)
            for other in range(index + 1, len(question.items))
            if "t" in letters(question.items[other]) and not question.items[other].used
        )
        table = next((each for each in later if each is not question.subject), None)
    first = next((item.ref for item in question.items if item.ref is not None), None)
    if first is not None and first.columns and table is None:
        named = question.table(index)
        if named is not None and first.columns[0][0].table is not named:
            table, question.subject = named, first.columns[0][0].table
    if table is None or table is question.subject:
        return None
    previous = [
        item for item in question.items[: len(match.string[: match.start()].split())] if item.ref
    ]
    if previous and letters(previous[-1]) == "c":
        question.notes.append("values differ")
    question.items[index].used = True
    inner = _scoped(question, match.start("inner"), table)
    question.strike(match)
    return Linked(table, tuple(inner), negated=True)


def _scoped(question: Question, end: int, table: Table) -> list[Condition]:
    """Conditions that stand behind a negation belong to what is absent."""
    first = len(question.code[:end].split())
    last = _end_of_clause(question, first)
    hidden = [item for item in question.items[:first] if not item.used]
    hidden += [item for item in question.items[last:] if not item.used]
    for item in hidden:
        item.used = True
    subject, question.subject = question.subject, table
    inner = [*rules_filter.comparisons(question), *rules_value.values(question)]
    for item in question.items[first:last]:
        if item.ref is not None and question.subject is table:
            item.used = True
    question.subject = subject
    for item in hidden:
        item.used = False
    return inner


def _end_of_clause(question: Question, first: int) -> int:
    words = [item.token.lemma for item in question.items]
    for index in range(first, len(words)):
        if words[index] in ("but", ".", "?", ";") or (
            words[index] in ("and", ",")
            and index + 1 < len(words)
            and words[index + 1]
            in (
                "have",
                "be",
                "do",
                "who",
                "that",
                "whose",
                "which",
                "list",
                "show",
                "give",
                "where",
            )
        ):
            return index
    return len(words)
