"""Words: of a question, and of the names in a schema."""

import re
import threading
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import snowballstemmer

from mcp_server.nl2sql.words.abbreviations import USUAL
from mcp_server.nl2sql.words.files import lexicon

IRREGULAR = lexicon().lemmas
"""Forms of words that no rule makes, and what they are forms of."""

NUMBER_WORDS = lexicon().numbers

SCALES = {"k": 1000, "m": 1_000_000}
DIGITS_MAX = 300
"""Longer is no number: Python converts no more than 4,300 digits, and floats end at 308."""
"""What a letter behind a number says: 100k."""


class _Stemmers(threading.local):
    """One stemmer for each thread: it keeps the word that it works on."""

    def __init__(self) -> None:
        self.english = snowballstemmer.stemmer("english")


_STEMMERS = _Stemmers()
_MARKS = (
    r"\s!-,./:-@\[-^`{-~\u00a0-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u00d7\u00f7"
    r"\u037e\u0387\u055a-\u055f\u0589\u05be\u060c\u061b\u061f\u0964\u0965"
    r"\u2000-\u200b\u200e-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u3004\u3008-\u3020"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65-"
)
"""Spaces and marks. Whatever else is written, in any script, is of words: letters, digits, and the
signs that combine with them.
"""
_TOKEN = re.compile(
    rf"""
    "(?P<double>[^"]+)" | “(?P<curly>[^”]+)” | ``(?P<tex>[^']+)''
  | «\s?(?P<angled>[^»]+?)\s?» | „(?P<low>[^“”]+)[“”] | 「(?P<corner>[^」]+)」
  | (?<![A-Za-z0-9])'(?P<single>[^']+(?:'[a-z][^']*)*?)'(?![A-Za-z])
  | (?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)
  | (?P<slashed>\d{{1,2}}/\d{{1,2}}/\d{{4}})
  | (?P<date>\d{{4}}-\d{{2}}-\d{{2}}(?:[ T]\d{{2}}:\d{{2}}(?::\d{{2}})?)?)
  | (?P<scaled>\d[\d,]*\.?\d*(?i:[km])\b(?!-))
  | (?P<number>(?:(?<![^\s<>=(])[-−])?(?:\d[\d,]*\.?\d*|(?<![^\s<>=($€£])\.\d+)
      (?![A-Za-z\d]|-[A-Za-z\d]))
  | (?P<word>[^{_MARKS}]+(?:[-/.&][^{_MARKS}]+)*
      (?:'(?:s|t|re)\b|(?<![0-9])\+{{1,2}}(?!\w)|(?<=\b[A-Z])-(?=[\s?.,]|$))?)
  | (?P<sign>[<>=!]=|=[<>]|<>|[<>=≥≤≠≧≦＞＜＝])
  | (?P<mark>[?.!;,:？。！；，：、؟،؛])
  | (?P<other>[^\s()\[\]{{}}"'`´“”„‘’«»「」$€£¥#_\-–—−…•·\u200b-\u200f\ufeff])
    """,
    re.VERBOSE,
)
_SIGNS = {
    "=>": ">=", "=<": "<=", "==": "=", "<>": "!=", "≥": ">=", "≤": "<=", "≠": "!=", "≧": ">=",
    "≦": "<=", "＞": ">", "＜": "<", "＝": "=",
}  # fmt: skip
"""Signs of comparison that are written in several ways."""
_MARKS_OF_OTHERS = dict(zip("？。！；，：、؟،؛", "?.!;,:,?,;", strict=True))
_SPOKEN = {"&": "and", "%": "percent", "×": "*", "÷": "/"}


_SHARED_NOUN = (
    re.compile(
        r"\b(?P<list>(?:first|middle|last|given|family)(?:(?:,? and |, | or )"
        r"(?:first|middle|last|given|family))+) (?P<noun>names?)\b",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?P<list>(?:start|starting|begin|end|ending|arrival|departure)(?:,? and |, | or )"
        r"(?:start|starting|end|ending|arrival|departure)) "
        r"(?P<noun>dates?|times?|years?|points?)\b",
        re.IGNORECASE,
    ),
)
"""Lists in which a noun is said once: `first and last name` is two names."""


def _spread(match: re.Match[str]) -> str:
    return re.sub(r"(?<=\w)(?=,? and |, | or |$)", f" {match['noun']}", match["list"])


class Mark(Enum):
    """What a token is."""

    WORD = "word"
    NUMBER = "number"
    QUOTED = "quoted"
    DATE = "date"
    PUNCTUATION = "punctuation"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: as it stands in the question, and its lemma. value: of a number."""

    text: str
    lemma: str
    mark: Mark
    value: float | int | None = None

    @property
    def capitalised(self) -> bool:
        """Whether it begins with a capital letter."""
        return self.text[:1].isupper()


def tokenize(question: str) -> list[Token]:
    """The tokens of a question; possessive endings, brackets and currencies are dropped."""
    found = []
    text = composed(question).replace("’", "'").replace("‘", "'")
    for shared in _SHARED_NOUN:
        text = shared.sub(_spread, text)
    for match in _TOKEN.finditer(text):
        text = match.group()
        match match.lastgroup:
            case "double" | "curly" | "tex" | "single" | "angled" | "low" | "corner":
                inner = (match.group(match.lastgroup) or "").strip()
                found.append(Token(inner, normal_text(inner), Mark.QUOTED))
            case "email" | "slashed":
                found.append(Token(text, normal_text(text), Mark.QUOTED))
            case "date":
                day = _in_ascii(text)
                found.append(Token(day, day, Mark.DATE))
            case "scaled" | "number" if len(text) > DIGITS_MAX:
                found.append(Token(text, normal_text(text), Mark.QUOTED))
            case "scaled":
                whole = round(float(text[:-1].replace(",", "")) * SCALES[text[-1].lower()])
                found.append(Token(str(whole), str(whole), Mark.NUMBER, whole))
            case "number":
                plain = _in_ascii(text).replace(",", "").replace("−", "-").rstrip(".")
                value = float(plain) if "." in plain else int(plain)
                found.append(Token(plain, plain, Mark.NUMBER, value))
                if text.endswith((".", ",")):
                    found.append(Token(text[-1], text[-1], Mark.PUNCTUATION))
            case "word":
                if text.lower().endswith("n't"):
                    stem = text[:-3]
                    found.append(Token(stem, lemma(stem), Mark.WORD))
                    found.append(Token("not", "not", Mark.WORD))
                    continue
                base = text[:-2] if text.endswith("'s") else text
                for part in filter(None, base.split("_")):
                    number = NUMBER_WORDS.get(part.lower())
                    mark = Mark.NUMBER if number is not None else Mark.WORD
                    found.append(Token(part, lemma(part), mark, number))
            case "sign":
                found.append(Token(text, _SIGNS.get(text, text), Mark.SIGN))
            case "other":
                found.append(Token(text, _SPOKEN.get(text, text), Mark.WORD))
            case _:
                sign = _MARKS_OF_OTHERS.get(text, text)
                found.append(Token(sign, sign, Mark.PUNCTUATION))
    return found


def composed(text: str) -> str:
    """A text in which a letter and its accent are one character (Unicode's form C)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _in_ascii(digits: str) -> str:
    """Digits of any script as those of ASCII."""
    if digits.isascii():
        return digits
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in digits)


@lru_cache(maxsize=20_000)
def lemma(word: str) -> str:
    """The singular, lower-case form of a noun; other words as they are, in lower case."""
    low = word.lower()
    if low in IRREGULAR:
        return IRREGULAR[low]
    if len(low) <= 3 or not low.endswith("s") or low.endswith(("ss", "us", "is")):
        return low
    if low.endswith("ies") and len(low) > 4:
        return low[:-3] + "y"
    if low.endswith(("sses", "shes", "ches", "xes", "zes")):
        return low[:-2]
    if re.search(r"[^aeho]uses$", low):
        return low[:-2]
    return low[:-1]


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The stem by the Snowball stemmer of English, for words that look different as verbs."""
    return str(_STEMMERS.english.stemWord(lemma(word)))


def identifier_words(name: str) -> tuple[str, ...]:
    """The lemmas of an identifier: `StudentIDs` and `student_ids` are both student, id.

    What is usually written short is written out, `ship_dt` is ship, date; in the plural it is a
    word of its own: `caps`, `stats`.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    parts = re.split(r"[\s_\-./]+|(?<=[A-Za-z])(?=\d)", spaced)
    said = (part.lower() for part in parts if part)
    return tuple(USUAL.get(part) or lemma(part) for part in said) or (name.lower(),)


def normal_text(value: str) -> str:
    """A text value as it is compared: lower case, single spaces, no marks at the end."""
    value = composed(value)
    return " ".join(value.lower().split()).rstrip("!?.,;: ") or value.lower().strip()


def shape_of(text: str) -> str:
    """How a text is written: letters as a, digits as 9, each run once: `AB-123/x` is `a-9/a`."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", text.strip()))
