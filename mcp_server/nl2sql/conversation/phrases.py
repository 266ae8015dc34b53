"""What follow-ups are made of: how they begin, what they ask to be done, and of what."""

import re
from dataclasses import dataclass

from mcp_server.nl2sql.words.spans import UNITS
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS

_OPENERS = (
    ("no", r"no|nope|wrong|sorry|actually|i (?:meant?|want(?:ed)?)|rather|instead|not that"),
    ("same", r"(?:do )?(?:the )?same(?: thing)?(?: again)?|likewise"),
    ("about", r"what about|how about|what if|and what about"),
    ("only", r"only|just"),
    ("also", r"also|additionally"),
    ("and", r"and|but|now|then|ok(?:ay)?|so|well|please|can you|could you|yes|great|thanks"),
)
_OPENER = re.compile(
    "^(?:" + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _OPENERS) + r")\b[\s,:;.–-]*",
    re.IGNORECASE,
)
_BACK = re.compile(
    r"\b(?:that|those|them|these|they|it|its|their|the (?:ones?|others?|list|results?)|ones)\b",
    re.IGNORECASE,
)
"""Words that point at the last answer."""
_OWN = re.compile(
    r"^((?:show|include|display|give|list|find|get)(?: me)?(?: all)? |)"
    r"(?!(?:it|that|them|those|these|all|everything)\b)(\w[\w ]*?) (?:and|with|along with)"
    r" (?:their|its)\b",
    re.IGNORECASE,
)
"""`List farmers and their villages`: theirs that the question itself names."""
_NUMBER = r"\d{1,18}|" + "|".join(word for word, number in NUMBER_WORDS.items() if number)
_THEM = r"(?:it|that|this|them|those|these|the results?|the list|the rows|all|everything)"
_ALONE = re.compile(r"(?<=\w) (?:only|alone)$", re.IGNORECASE)
_END = re.compile(r"[\s?.!]+$")

COUNT = re.compile(
    r"^(?:how many|what is the (?:number|count))(?: rows| of them| of those| of these| ones)?"
    r"(?: (?:are|is|were|was) (?:there|that|they|it|those|these))?(?: in (?:all|total))?$"
    r"|^count (?:them|those|these|that|it)$",
    re.IGNORECASE,
)
COUNT_OF = re.compile(
    r"^how many (?:of (?:them|those|these|which) |ones |are there |were there )+"
    r"(?:are |were |is |was |have |has )?(?P<rest>.+)$",
    re.IGNORECASE,
)
COUNT_BY = re.compile(
    r"^how many (?:(?:of (?:them|those|these|which) |rows |ones )?(?:is|are|was|were)"
    r"(?: (?:that|this|it|they|those|these|there))?|of (?:them|those|these)|ones)"
    r" (?P<by>(?:by|per|for each|for every|in each) .+)$",
    re.IGNORECASE,
)
"""Of the rows found before, how many each of several has."""
LIST = re.compile(
    r"^(?:which|who|what)(?: ones| rows)?"
    r"(?: (?:are|were|is) (?:they|those|these|that|it|the ones))?$"
    rf"|^(?:list|show|give|name)(?: me)? {_THEM}(?: all)?$",
    re.IGNORECASE,
)
MOST = re.compile(
    r"^(?:which|who|what)(?: one| ones| of (?:them|those|these))?(?: (?:has|have|had|is|was|are))?"
    r" (?:the )?(?P<end>most|least|fewest|highest|lowest|largest|smallest|biggest|greatest)"
    r"(?: (?P<what>.+?))??(?: ones?| value| there| of (?:them|those|these|all))*$",
    re.IGNORECASE,
)
EXTREME = re.compile(
    r"^(?:what (?:is|was) )?(?:the )?"
    r"(?P<end>most|least|fewest|highest|lowest|largest|smallest|biggest|greatest)(?: one| value)?$",
    re.IGNORECASE,
)
"""`And the highest`: of what was averaged, or added up."""
SORT = re.compile(
    rf"^(?:sort|order|rank|arrange)(?:ed)?(?: {_THEM})?(?: by(?: the| their| its)?)? (?P<by>.+)$",
    re.IGNORECASE,
)
FIRST = re.compile(
    rf"^(?:(?:sort|order|rank|arrange|show|list|put)(?:ed)?(?: {_THEM})?(?: with)? )?(?:the )?"
    r"(?P<end>[a-z]+st) (?:ones? )?first$",
    re.IGNORECASE,
)
"""`Longest first`: by what the word speaks of."""
REVERSE = re.compile(
    r"^(?:in )?(?:the )?(?:reverse|opposite)(?: order)?(?: (?:it|that|them))?$"
    r"|^the other way (?:a?round)$|^reverse (?:it|that|them|the order)$",
    re.IGNORECASE,
)
DOWN = re.compile(
    r"(?:,? ?\b(?:in )?(?:descending|desc|decreasing|reverse)(?: order)?"
    r"|,? (?:the )?(?:largest|highest|biggest|newest|latest|most recent|most) (?:ones? )?first)$",
    re.IGNORECASE,
)
UP = re.compile(
    r"(?:,? ?\b(?:in )?(?:ascending|asc|increasing|alphabetical)(?: order)?|,? alphabetically"
    r"|,? (?:the )?(?:smallest|lowest|oldest|earliest|least) (?:ones? )?first)$",
    re.IGNORECASE,
)
TOP = re.compile(
    r"^(?:(?:show|give|list|me|the|limit|to|it|that|them|keep|take|make|cut|down) )*"
    rf"(?P<end>top|first|last|bottom|best)? ?(?P<count>{_NUMBER})"
    r"(?: (?:of them|of those|ones?|rows?|results?|only))?$",
    re.IGNORECASE,
)
ADD = re.compile(
    r"^(?:(?:show|include|add|display|give|list)(?: me)?(?: also)?|with|and)"
    r"(?: (?:their|its|the|his|her))? (?P<what>.+?)(?: as well| too| also)?$",
    re.IGNORECASE,
)
MOST_HAVE = re.compile(
    r"^(?:which|who|what)(?: ones| of (?:them|those|these))? (?:has|have|had|got)"
    r" (?P<sign>more than|over|at least|no less than|fewer than|less than|under|at most|exactly)"
    rf" (?P<count>{_NUMBER})(?: of (?:them|those|these))?$",
    re.IGNORECASE,
)
DROP = re.compile(
    r"^(?:without|remove|drop|hide|leave out|ignore|exclude|excluding|except(?: for)?|skip|"
    r"not counting|don'?t count|apart from|other than)(?: the| their| its| any)? (?P<what>.+)$",
    re.IGNORECASE,
)
EXCEPT = re.compile(
    r"^(?:(?:please )?(?:remove|drop|hide|leave out|ignore|exclude|excluding|skip|take out)"
    r"|(?:all )?(?:except|but|other than)(?: for)?|not(?: including| counting)?"
    r"|without(?= .* ones?$)) (?:the (?:ones? )?|those |any )?(?P<what>.+)$",
    re.IGNORECASE,
)
GROUP = re.compile(
    rf"^(?:(?:group|split|break)(?:ed)?(?: {_THEM})?(?: down)? |broken down )?"
    r"(?:(?:by|per|for each|for every|in each)(?: the)? (?P<by>.+?)"
    rf"|(?P<every>{'|'.join(unit for unit in UNITS if unit not in UNITS.values())}))(?: instead)?$",
    re.IGNORECASE,
)
MEASURE = re.compile(
    r"^(?:(?:use|show|give|take|me|with|the) )*"
    r"(?P<measure>average|mean|total|sum|maximum|max|minimum|min)"
    r"(?: of (?:that|it|them|those))?(?: instead)?$",
    re.IGNORECASE,
)
MEASURE_OF = re.compile(
    r"^(?:what (?:is|was|about) )?(?:the |their |its )?"
    r"(?P<measure>average|mean|total|sum|maximum|max|minimum|min)(?: of)?(?: the| their| its)? "
    r"(?P<what>(?!number\b|count\b)[\w -]+)$",
    re.IGNORECASE,
)
USE = re.compile(
    r"^(?:by|use|using|based on|go by|take|it'?s|it is|according to)(?: the| its| their)?"
    r" (?P<by>.+?)(?: instead)?$",
    re.IGNORECASE,
)
WHO_DID = re.compile(
    r"^who (?!of\b|among\b)(?:(?:is|are|was|were|did|the) )*\w+ (?:(?:of|by|for|to) )?"
    r"(?:them|those|these|it)$",
    re.IGNORECASE,
)
"""Asks for others than those rows."""
THE_ONES = re.compile(
    r"^(?:(?:show|list|give|keep|me|the|those|these|them|ones?|of|that|which|who|were|are|is|was)"
    r" )+",
    re.IGNORECASE,
)
ONES = re.compile(r" (?:ones?|of them|of those|instead)$", re.IGNORECASE)
FRAGMENT = re.compile(
    r"^(?:in|at|on|from|for|with|without|before|after|since|until|between|over|under|above|below|"
    r"more|less|fewer|during|to|whose|where|named|called)\b",
    re.IGNORECASE,
)

JOINT = re.compile(r",? (?:and then|and|then) |, ", re.IGNORECASE)
"""Where a second change may begin."""


@dataclass(frozen=True, slots=True)
class Said:
    """A follow-up without its beginning. openers: what that says; back: whether it points back."""

    text: str
    openers: frozenset[str]
    back: bool

    @property
    def corrects(self) -> bool:
        """Whether it says that the last answer was not what was meant."""
        return "no" in self.openers


def said(question: str) -> Said:
    """Take a question's beginning off: `no, by ship date` is a correction, `by ship date`."""
    text = _END.sub("", " ".join(question.split()))
    text = re.sub(r"^(what|who)['’]s\b", r"\1 is", text, flags=re.IGNORECASE)
    openers = set()
    while (match := _OPENER.match(text)) is not None and match.end() < len(text):
        openers.add(str(match.lastgroup))
        text = text[match.end() :]
    if re.search(r"\binstead$", text, re.IGNORECASE):
        openers.add("about")
    if (match := _ALONE.search(text)) is not None:
        openers.add("only")
        text = text[: match.start()]
    return Said(text, frozenset(openers), _BACK.search(_OWN.sub(r"\1\2", text)) is not None)


def number(word: str) -> int:
    """A number, written in digits or as a word."""
    return int(word) if word.isdecimal() else NUMBER_WORDS[word.lower()]
