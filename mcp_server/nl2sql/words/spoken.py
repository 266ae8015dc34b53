"""A question as people say it, without what they say beside it: greetings, thanks and asides.

Quoted texts stay as they are, and so does what the database calls or holds: one may ask for
products of *Hello Kitty*, and for the rating of *Love Actually*.
"""

import re
from collections.abc import Callable

from mcp_server.nl2sql.words.lexicon import POLITE, STOP
from mcp_server.nl2sql.words.tokens import lemma
from mcp_server.nl2sql.words.typed import ASKING, Known, spelt

_QUOTED = re.compile(r"(\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w))")
_HIDDEN = "\ufffd"
_WORDS = re.compile(r"[\w'’]+")

_GREETING = re.compile(
    r"\A(?:(?:hi|hiya|hey|hello|yo|dear|good (?:morning|afternoon|evening)|sorry|quick question|"
    r"um+|uh|erm)\b(?![-'’])(?: (?:there|all|team|everyone|everybody|guys|folks)\b)?)"
    r"(?P<mark>[\s,.!:–-]*)",
    re.IGNORECASE,
)
_CORRECTING = re.compile(r"sorry\b", re.IGNORECASE)
_ASIDE = re.compile(
    r"(?:,\s*|\s+)(?P<said>actually|basically|really|honestly|so far|right now|just now|"
    r"at the moment|at present|"
    r"(?<!at )(?<!the )(?<!an )(?<!by )(?<!of )(?<!per )(?<!use )(?<!list )(?<!show )atm|"
    r"these days|as of now|rn|as we speak|"
    r"on file(?= (?:have|has|had|are|were|who|that|with|in|from)\b|[,.?!]|$)|"
    r"(?:anymore|any more|any longer)(?! than\b))(?=$|[\s,.?!])"
)
_STILL = re.compile(
    r"\b((?:be|is|are|was|were|that|who|which|the \w+) )(?P<said>still) (?=\w)", re.IGNORECASE
)
_GOT = re.compile(r"\b(that|which|who) (?P<said>got|get|gets) (?=[a-z]+ed\b)", re.IGNORECASE)
_OWN = re.compile(r"\b(their|its|his|her) (?P<said>own)(?= \w)", re.IGNORECASE)
_ALSO = re.compile(r"\b(?P<said>and (?:also|then also|as well as))\b", re.IGNORECASE)
_YET = re.compile(r"((?:\b(?:not|never|no)\b|n['’]t\b).*?) (?P<said>yet)(?=$|[\s,.?!])")
_THANKS = re.compile(
    r"(?P<mark>[\s,;.!?]*)\b(?P<said>please|thanks(?: a lot| so much)?|thank you|cheers|ty|"
    r"if possible|if you can)[\s.!]*(?P<asks>\?*)\Z",
    re.IGNORECASE,
)
_LOOKING = re.compile(
    r"\A(?:(?:i(?:'m| am) |we(?:'re| are) )(?:after|looking for|trying to (?:find|see|get))"
    r"|(?:looking for|trying to (?:find|see|get))"
    r"|(?:i |we )?(?:just )?(?P<said>need|want)(?: to (?:see|have|get|know))?(?: a list of)?)(?= )",
    re.IGNORECASE,
)
_ONLY_SHOWN = re.compile(
    r"\A(?P<rows>[^,;.?]+)[,;.?] ?(?:(?:i )?(?:just|only) (?:need |want )?(?P<the>(?:the|their) )?"
    r"(?P<just>[a-z]+(?: and [a-z]+)?)"
    r"|(?:the |their )?(?P<only>[a-z]+(?: and [a-z]+)?) only)[.?]*\Z",
    re.IGNORECASE,
)
_NOT_EMPTY = re.compile(
    r"\A(?P<rows>.*?\b(?:list|show|give|get|see|want|need)\b(?: (?:me|us|every|all|each|the|of))* "
    r"(?P<shown>[a-z]+)\b[^.?!]*?)[.?!,;]* (?:and )?(?:please )?(?:skip|ignore|leave out|drop|omit|"
    r"without|excluding|exclude|no|not) (?:the |any )?(?:empty|blank|missing|null) ?"
    r"(?:ones?|values?|rows?|entries|fields)?[.!? ]*\Z",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"\b(\d[\d,]*(?:\.\d+)?[km]?) (?P<of>euros?|dollars?|pounds|bucks|quid|usd|eur|gbp)\b"
    r"(?= (?:or|and|in|on|at|from|by|to|per|since|before|after|between|each)\b|\W*\Z|[,;.?])",
    re.IGNORECASE,
)
_CURRENCY = {"e": "eur", "d": "usd", "b": "usd", "u": "usd", "p": "gbp", "q": "gbp", "g": "gbp"}
"""The code of a currency by the first letter of what it is called."""
_WEIGHTS = ("weight", "lb", "lbs", "mass")
_HOW_MUCH = re.compile(
    r"^how much (?!is\b|was\b|do(?:es)?\b|did\b|ha[sd]\b|have\b)(?P<what>[a-z]+) "
    r"(?:did|do|have|has) (?:we|you|they|i|people|customers) "
    r"(?:get|make|made|earn|earned|collect|collected|receive|received|take|took|taken|have|had|pay|"
    r"paid|spend|spent|sell|sold)(?: in total)?(?: in| on)?(?= |\Z)"
    r"(?!.*\b(?:average|mean|each|per)\b)",
    re.IGNORECASE,
)
_LISTING = re.compile(
    r"^(?:(?:can|could) you )?(?:please )?(?:show|list|give|find)(?: (?:me|us))?(?: (?:all|the))* ",
    re.IGNORECASE,
)
_ASKS = re.compile(r"^(?:which|what|who|whose|how|where|when)\b", re.IGNORECASE)


def in_print(question: str, known: Known, *, follows: bool = False) -> str:
    """The question without chatter, its words spelt as in print; what is quoted stays as it is.

    follows: whether there was an answer before, which a `sorry` may correct.
    """
    parts = _QUOTED.split(question)
    quoted = parts[1::2]
    text = _HIDDEN.join(spelt(part, known) for part in parts[::2]).strip()
    text = _without_greetings(text, known, follows)
    for pattern, instead in (
        (_GOT, r"\1 were "), (_OWN, r"\1"), (_ALSO, "and"), (_ASIDE, ""), (_STILL, r"\1"),
        (_YET, r"\1"),
    ):  # fmt: skip
        text = pattern.sub(_unless_meant(instead, known), text).strip()
    text = _without_thanks(text, known)
    text = _LOOKING.sub(_unless_meant("show", known), text).strip()
    text = _MONEY.sub(lambda match: match[0] if _tells(match["of"], known) else match[1], text)
    much = _HOW_MUCH.match(text)
    if much is not None and known.says(much["what"].lower()):
        rest = text[much.end() :]
        text = f"what is the total {much['what']}{rest and f' of{rest}'}"
    text = _NOT_EMPTY.sub(
        lambda match: (
            f"{match['rows']} whose {match['shown']} is not missing"
            if known.shows(match["shown"].lower())
            else match[0]
        ),
        _with_shown(text, known),
    )
    for part in quoted:
        text = text.replace(_HIDDEN, part, 1)
    return text or question


def _without_greetings(text: str, known: Known, follows: bool) -> str:
    while (match := _GREETING.match(text)) is not None:
        words = _WORDS.findall(text.lower())
        said = len(_WORDS.findall(match[0]))
        after = words[said : said + 1]
        marked = match["mark"].strip() or not after or after[0] in STOP | POLITE | ASKING
        if follows and _CORRECTING.match(text):
            break
        if not marked and _is_held(" ".join(words[:said]), "", after[0], known):
            break
        text = text[match.end() :]
    return text


def _without_thanks(text: str, known: Known) -> str:
    while (match := _THANKS.search(text)) is not None:
        if not match["mark"].strip():
            shouted = match["said"][0].isupper() and not text.isupper() and match.start()
            if shouted or _is_held(match["said"], _last(text[: match.start()]), "", known):
                break
        text = text[: match.start()] + match["asks"]
    return text


def _unless_meant(instead: str, known: Known) -> Callable[[re.Match[str]], str]:
    """What takes the place of an aside that no name has, and no text of the database."""

    def put(match: re.Match[str]) -> str:
        start, end = match.span("said") if match["said"] else (0, 0)
        before, after = _last(match.string[:start]), _WORDS.match(match.string[end:].lstrip())
        if match["said"] and _is_held(match["said"], before, after[0] if after else "", known):
            return match[0]
        return match.expand(instead)

    return put


def _last(text: str) -> str:
    return next(iter(_WORDS.findall(text)[-1:]), "")


def _is_held(said: str, before: str, after: str, known: Known) -> bool:
    """Whether words are of the database's own, by themselves or with what stands beside them."""
    said, before, after = said.lower(), before.lower(), after.lower()
    beside = [f"{before} {said}"] if before else []
    beside += [f"{said} {after}"] if after else []
    return known.says(said) or any(known.holds(each) for each in beside)


def _tells(money: str, known: Known) -> bool:
    """Whether the database tells this money from others, or may mean a weight by its name."""
    word = money.lower()
    if word == "pounds" and any(map(known.says, _WEIGHTS)):
        return True
    return known.says(word) or known.says(lemma(word)) or known.says(_CURRENCY[word[0]])


def _with_shown(text: str, known: Known) -> str:
    """`All parcels in Oslo, just the weights` asks for the weights of all parcels in Oslo."""
    match = _ONLY_SHOWN.match(text)
    if match is None or _ASKS.match(text):
        return text
    shown = match["just"] or match["only"]
    if not all(known.shows(word) for word in shown.lower().split(" and ")) and not match["the"]:
        return text
    if any(known.says(word) and not known.shows(word) for word in shown.lower().split(" and ")):
        return text
    return f"show the {shown} of {_LISTING.sub('', match['rows'])}"
