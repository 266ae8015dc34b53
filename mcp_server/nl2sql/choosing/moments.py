"""Whether a query says of times what the question was found to say of them.

What `linking/moments.py` puts in the words of computed columns has one meaning, so that queries
without it are out.
"""

import re

from sqlglot import exp

from mcp_server.nl2sql.choosing.confidence import FIRST_OF_EACH
from mcp_server.nl2sql.choosing.naming import computed_names
from mcp_server.nl2sql.words.tokens import identifier_words

PARTS = ("weekday", "hour", "month of year")
MEASURES = re.compile(r"\b(duration|age)s?\b")
_BESIDE = re.compile(r"\bversus\b|\bvs\b", re.IGNORECASE)
_LONGEST = re.compile(r" with the (?:highest|lowest) duration$")
"""The longest of some rows is one of them, and not only how long it was."""
_WHICH_HAS_MOST = re.compile(r"^which (?:\w+ )?\w+ has the (?:most|fewest|least) ", re.IGNORECASE)


def has_moments(tree: exp.Expr, text: str, question: str) -> bool:
    """Whether a query has the times that were found, and puts beside each other what is compared.

    text: the question with its times as names. question: as it was asked.
    """
    low, asked = text.lower(), question.lower()
    names = computed_names(tree)
    columns = {word for c in tree.find_all(exp.Column) for word in identifier_words(c.name)}
    if any(word not in {*names, *columns} for word in MEASURES.findall(low)):
        return False
    if any(part in low and part not in asked and part.split()[0] not in names for part in PARTS):
        return False
    if _LONGEST.search(low) and not _LONGEST.search(asked):
        return tree.args.get("order") is not None
    if FIRST_OF_EACH.search(low):
        return tree.find(exp.Window) is not None
    if _WHICH_HAS_MOST.match(text) and not _WHICH_HAS_MOST.match(question):
        return tree.args.get("group") is not None
    return not _BESIDE.search(text) or tree.find(exp.Filter, exp.Div, exp.Window) is not None
