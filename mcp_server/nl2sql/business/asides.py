"""What questions say beside what they ask: *inclusive of today*, *based on joining the tables*.

Some of it is what a query does anyway, and is left out; the rest is put as the grammar reads it.
"""

import re

from mcp_server.nl2sql.words.spans import MONTH

_UNIT = r"(?:day|week|month|quarter|year)"
_TODAY = re.compile(
    r"\b(?P<which>last|past|previous) (?P<n>\d{1,4}) days,? \(?(?:inclusive of|including|counting) "
    r"today(?:'s date)?\b\)?",
    re.IGNORECASE,
)
"""Today is one of so many days then."""
_INCLUSIVE = re.compile(
    r",? \(?\b(?:both |(?:start |end )?dates? )?inclusive\b(?: of (?:"
    rf"(?:the |both )?(?:start|end|first|last)(?: and (?:the )?(?:start|end|first|last))? {_UNIT}s?"
    r"|(?:the |both )?(?:start|end|first|last)(?: and (?:the )?(?:start|end|first|last))? dates?"
    rf"|both (?:dates|{_UNIT}s|ends)|today(?:'s date)?|\d{{1,4}} {_UNIT}s? ago"
    rf"|(?:the current|this) {_UNIT}))?\)?",
    re.IGNORECASE,
)
_EXCLUDING = re.compile(
    rf"\b(?P<last>(?:last|previous|prior) {_UNIT}),? \(?(?:exclusive of|excluding|not including|"
    rf"without) (?:the current|this) {_UNIT}\)?",
    re.IGNORECASE,
)
_HIGH = r"(?:best|highest|largest|greatest|biggest|most)"
_LOW = r"(?:worst|lowest|smallest|least|fewest)"
_SAID = (
    (rf"\b(?:calendar|iso) (?={_UNIT}s?\b)", ""),
    (r"\b(?:the )?(?:whole|entirety) of (?=the (?:last|previous|current) )", ""),
    (rf"\b(?:the )?(?:previous|prior) (?={_UNIT}\b)", "last "),
    (r",? (?:based on|by|after) joining (?:the )?[\w, ]+? tables?\b", ""),
    (r",? (?:starting|beginning|sorted) (?:from|with|at) the (?:top|highest|most)\b", ""),
    (rf"\b(?:starting |beginning |going )?from (?:the )?{_HIGH} (?P<what>[a-z]+(?: [a-z]+)?)"
     rf" to (?:the )?{_LOW}\b(?! [a-z])", r"sorted by \g<what> from highest to lowest"),
    (rf"\b(?:starting |beginning |going )?from (?:the )?{_LOW} (?P<what>[a-z]+(?: [a-z]+)?)"
     rf" to (?:the )?{_HIGH}\b(?! [a-z])", r"sorted by \g<what> from lowest to highest"),
    (r"\b(?:received|gained|obtained) by (?!each\b|every\b)(?=[a-z])", "of "),
    (r"\b(?:distinct|unique) list of (?:the |all )?", "distinct "),
    (r",? (?:split|broken down|grouped|segmented) by (?:the )?(?=[a-z])", " by "),
    (r"\btotal (?P<every>daily|weekly|monthly|quarterly|yearly|annual)\b", r"\g<every> total"),
    (r"\b(?P<bound>(?:at (?:least|most)|(?:more|less|fewer) than|exactly) \d+) total (?=[a-z])",
     r"\g<bound> "),
    (rf"\b(?P<done>\w+(?:ed|en)|rates?|made|sold|paid) by (?={_UNIT}\b(?! (?:end|\d)))",
     r"\g<done> per "),
    (r"\b(?P<count>number of [a-z]+) by (?=[a-z]+ (?:who|whose)\b)", r"\g<count> of "),
    (r"\b(?:best|top)[ -]selling (?=.* by )", ""),
    (r"(?<=[.?!]) (?:represent|express|format|truncate) (?:each|every|the|all) [^.]+\.?$", ""),
    (r"\b(?:full|complete|entire) list of ", "list of "),
    (r"\b(?:different |distinct |unique )?combinations? of (?=.+ by )", ""),
    (r"\b(?:he/she|she/he)\b", "they"),
    (r"\b(?:his/her|her/his)\b", "their"),
    (r" (?:(?:that|who|which) are )?associated with (?:them|it|each)\b(?! )", ""),
    (r",? (?:showing|displaying|listing|returning) (?=(?:the|its|their|each|both) )", ". Return "),
    (r" \(as a (?:date|number|percentage)\)", ""),
)  # fmt: skip
_MONTH_OF_YEAR = re.compile(
    rf"(?<=[a-z]),? (?=(?:{MONTH}) (?:19|20)\d\d[?.!]*$)"
    + "".join(
        rf"(?<!\b{word} )"
        for word in (
            "in", "of", "for", "on", "by", "to", "and", "or", "from", "until", "till", "since",
            "before", "after", "during", "between", "through", "versus", "vs", "than", "by end",
            "the", "early", "late", "mid",
        )
    ),
    re.IGNORECASE,
)  # fmt: skip
"""*Rejected claims, July 2025*: those in July."""
_RULES = tuple((re.compile(pattern, re.IGNORECASE), put) for pattern, put in _SAID)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']+'(?!\w)|`[^`]*`")


def without_asides(question: str) -> str:
    """The question without what goes without saying; what is quoted stays as it is."""
    parts, done = [], 0
    for quoted in _QUOTED.finditer(question):
        parts += [_plain(question[done : quoted.start()]), quoted[0]]
        done = quoted.end()
    return "".join([*parts, _plain(question[done:])])


def _plain(text: str) -> str:
    text = _INCLUSIVE.sub("", _TODAY.sub(_counting_today, text))
    for pattern, put in _RULES:
        text = pattern.sub(put, text)
    text = _MONTH_OF_YEAR.sub(" in ", text)
    return _EXCLUDING.sub(lambda match: match["last"], text)


def _counting_today(match: re.Match[str]) -> str:
    days = int(match["n"]) - 1
    return f"{match['which']} {days} days" if days > 1 else "since yesterday" if days else "today"
