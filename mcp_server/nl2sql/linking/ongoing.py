"""What is still going on, in the words of the date that is missing then.

*How many repairs are still going on* asks for *repairs that have not ended*, where rows have a date
of their end that some of them lack. Where the database has such a word itself, a status *running*,
nothing is put differently.
"""

import re

from mcp_server.nl2sql.schema.model import Column, Kind, Profile
from mcp_server.nl2sql.words.tokens import normal_text, stem, tokenize

_GOING_ON = r"going on|goin['’]? on|ongoing|on-going|in progress|under ?way|unfinished"
_ARE = re.compile(
    rf"\b(?P<who>(?:that|which|who) )?(?:are|is|be) (?:still |currently )?(?P<said>{_GOING_ON})"
    r"(?: (?:right )?now)?(?!\w)",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    rf"\b(?:still |currently )?(?P<said>{_GOING_ON}) (?P<rows>[a-z]+)\b", re.IGNORECASE
)


def with_ongoing(text: str, profile: Profile) -> str:
    """The text with what goes on as what has not ended."""
    said = _ARE.search(text) or _BEFORE.search(text)
    if said is None:
        return text
    word = said["said"].lower()
    if profile.says(word) or normal_text(word) in profile.value_index:
        return text
    ends = _ends(text, profile)
    if len(ends) != 1:
        return text
    missing = _missing(ends[0])
    text = _ARE.sub(lambda m: f"{m['who'] or ''}have {missing}", text)
    return _BEFORE.sub(lambda m: f"{m['rows']} that have {missing}", text)


def _ends(text: str, profile: Profile) -> list[Column]:
    """When rows end that are spoken of, where some have not."""
    heard = {stem(token.lemma) for token in tokenize(text)}
    found: dict[Column, None] = {}
    for lasting in profile.derived:
        end = lasting.made.of[-1] if lasting.lasts and lasting.made is not None else None
        if end is None or end.full or end.kind is not Kind.DATE:
            continue
        if end.table.words and stem(end.table.words[-1]) in heard:
            found[end] = None
    return list(found)


def _missing(end: Column) -> str:
    """`Not ended` of `ended_at`, `no end date` of `end_date`."""
    done = end.words[0].endswith("ed")
    return f"not {end.words[0]}" if done else f"no {' '.join(end.words)}"
