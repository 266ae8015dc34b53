"""`Who made the most calls`, `hours per person`: the people to whom rows of the table refer.

Only where one key alone leads to people: of two, nobody knows which is meant.
"""

import re

from mcp_server.nl2sql.linking.heard import may_do, root
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.matching import SURELY
from mcp_server.nl2sql.schema.display import are_people
from mcp_server.nl2sql.words.tokens import tokenize

_WHO_MOST = re.compile(
    r"\A(?:and )?who (?P<has>(?:has |have |had )?)(?P<did>(?!the\b)[a-z]+) (?:the )?"
    r"(?P<end>most|fewest|(?:highest|largest|greatest|biggest|lowest|smallest) number of) "
    r"(?P<what>[\w -]+?)(?P<rest> (?:in|on|since|during|before|after|between|last|this|for|from|at)"
    r" .+)?(?P<mark>[?.! ]*)\Z",
    re.IGNORECASE,
)
_EACH_PERSON = re.compile(
    r"\b(?P<each>for each|for every|per|each|every) (?P<who>person|guy|head|individual)\b",
    re.IGNORECASE,
)


def of_people(question: str, linker: Linker) -> str:
    """The question with the people named, where it asks who did the most of what refers to them, or
    for something of each person.
    """
    match = _WHO_MOST.match(question)
    if match is None:
        return _of_each(question, linker)
    refs = linker.refs(linker.prepare(tokenize(match["what"])))
    named = [table for ref in refs for table, score in ref.tables if score >= SURELY]
    if len(named) != 1 or any(ref.values for ref in refs) or are_people(named[0]):
        return question
    known = linker.profile.foreign_keys
    keys = [k for k in known if k.column.table is named[0] and are_people(k.target.table)]
    if len(keys) != 1 or keys[0].beside or not may_do(root(match["did"]), keys[0]):
        return question
    people = " ".join(keys[0].target.table.words)
    rest = match["rest"] or ""
    did = f"{match['has']}{match['did']}"
    return f"which {people} {did} the {match['end']} {match['what']}{rest}{match['mark']}"


def _of_each(question: str, linker: Linker) -> str:
    """`Total hours for each person`, where hours are of rows that refer to people once."""
    match = _EACH_PERSON.search(question)
    if match is None or linker.profile.says(match["who"].lower()):
        return question
    refs = linker.refs(linker.prepare(tokenize(question)))
    measured = {
        column.table
        for ref in refs
        for column, score in ref.columns
        if score == ref.best_column >= SURELY and column.adds_up
    }
    known = linker.profile.foreign_keys
    keys = [k for k in known if k.column.table in measured and are_people(k.target.table)]
    if len(measured) != 1 or len(keys) != 1 or keys[0].beside:
        return question
    people = " ".join(keys[0].target.table.words)
    return f"{question[: match.start()]}{match['each']} {people}{question[match.end() :]}"
