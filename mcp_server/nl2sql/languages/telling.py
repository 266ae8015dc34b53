"""Which language a question is in, by its small words."""

import re
from collections.abc import Collection

from mcp_server.nl2sql.languages.spelling import plain
from mcp_server.nl2sql.words.files import ENGLISH, lexicon
from mcp_server.nl2sql.words.lexicon import POLITE, STOP

_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|«[^»]*»|(?<!\w)'[^']*'(?!\w)")
_OF_ENGLISH = STOP | POLITE


def languages_of(question: str) -> Collection[str]:
    """The languages that a question may be in: one, where it is sure.

    English, unless more of its words tell another language than are small words of English.
    """
    words = [plain(word) for word in _WORD.findall(_QUOTED.sub(" ", question))]
    scores = {
        code: len(told)
        for code, language in lexicon().languages.items()
        if (told := language.tells.intersection(words) - _OF_ENGLISH)
    }
    if not scores:
        return (ENGLISH,)
    most = max(scores.values())
    if most <= len(_OF_ENGLISH.intersection(words) - _told(scores)):
        return (ENGLISH,)
    return [code for code, score in scores.items() if score == most]


def _told(codes: Collection[str]) -> frozenset[str]:
    """Words that tell a language though English has them too: `me`, `was`."""
    every = lexicon().languages
    return frozenset[str]().union(*(every[code].tells for code in codes))
