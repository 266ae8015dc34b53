"""A question of another language in English: its phrases, and the names of the schema as they are.

    Interpreter(profile).in_english("Welche Kunden kommen aus Rom?", "de").text
    'which kunden from Rom?'

Phrases come from the language's file of the lexicon, the longest first. A word that names something
in the schema, in any of its forms, is put as the schema has it; one that does not, by what the
lexicon says that schemas call it; a text that a column holds stays. Then patterns of the file put
the parts into the order of English. A word that is none of these is told, and nothing is guessed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from mcp_server.nl2sql.languages.spelling import keys, plain
from mcp_server.nl2sql.schema.model import Profile
from mcp_server.nl2sql.words.files import Language, lexicon
from mcp_server.nl2sql.words.tokens import normal_text

NAMES, PREFIXES = "names", "prefixes"
"""Groups of phrases: what schemas call things, and beginnings of compounds."""
SPAN_MAX = 5
PREFIX_REST_MIN = 3
PASSES = 2
"""Patterns apply to what others made of the question."""
INNER = frozenset({"de", "del", "la", "el", "du", "des", "d", "l", "le", "der", "von", "of"})
_NAME, _VALUE = ("\ue000", "\ue001"), ("\ue002", "\ue003")
_PART = re.compile(
    r"(?P<quoted>\"[^\"]*\"|“[^”]*”|«[^»]*»|„[^“”]*[“”]|(?<!\w)'[^']*'(?!\w))"
    r"|(?P<number>\d{4}-\d\d-\d\d|\d+(?:[.,\u202f\u00a0]\d+)*)"
    r"|(?P<word>[^\W\d_](?:[^\W_]|_(?=\w))*(?:-[^\W\d_]+)*['’]?(?=\b|\W|$))"
    r"|(?P<mark>[^\w\s])"
)
_CHOICE = re.compile(r"\{([^}]*)\}")
"""Words of which the schema has one."""
_OPENING = str.maketrans("", "", "¿¡")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """text: the question in English. unknown: words that are not understood."""

    text: str
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    kind: str

    @property
    def word(self) -> str:
        return self.text.rstrip("'’").lower() if self.kind == "word" else self.text


@dataclass(slots=True)
class _Names:
    """What a schema calls things: spans of keys, and words of names."""

    whole: dict[tuple[str, ...], str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    """Texts that columns hold, by how they are without accents, where that differs."""


class Interpreter:
    """Turns questions about one database into English; its names are kept by language."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._names: dict[str, _Names] = {}

    def in_english(self, question: str, code: str) -> Rewritten:
        """A question of a language in English, as far as it is understood."""
        if code not in self._names:
            self._names[code] = _names_of(self._profile, code)
        language, names = lexicon().languages[code], self._names[code]
        parts = _parts(question.translate(_OPENING))
        written: list[str] = []
        unknown: list[str] = []
        at = 0
        while at < len(parts):
            taken, text = _taken(parts, at, language, names, self._profile)
            if not taken:
                part = parts[at]
                taken, text = 1, part.text
                if part.kind == "number":
                    text = _number(part.text)
                elif part.kind == "word" and not _proper(part, at, code):
                    unknown.append(part.text)
            written.append(text)
            at += taken
        text = " ".join(filter(None, written))
        return Rewritten(_ordered(text, code, names), tuple(unknown))


def _parts(text: str) -> list[_Part]:
    return [_Part(match.group(), match.lastgroup or "") for match in _PART.finditer(text)]


def _taken(
    parts: Sequence[_Part], at: int, language: Language, names: _Names, profile: Profile
) -> tuple[int, str]:
    """How many parts from here on are one phrase, value or name, and what it is in English."""
    phrases, longest = _phrases(language.code)
    for length in range(min(max(SPAN_MAX, longest), len(parts) - at), 0, -1):
        span = parts[at : at + length]
        words = tuple(part.word for part in span)
        if (value := _value(span, names, profile, length, words in phrases)) is not None:
            return length, value
        if (name := _whole_name(span, language.code, names)) is not None:
            return length, name
        said = phrases.get(words)
        if said is None:
            said = phrases.get(tuple(plain(word) for word in words))
        if said is not None:
            return length, _chosen(said, language.code, names)
    part = parts[at]
    return (1, text) if (text := _by_the_word(part, language, names)) else (0, "")


def _value(
    span: Sequence[_Part], names: _Names, profile: Profile, length: int, phrase: bool
) -> str | None:
    """A text that a column holds: of several words, or written as a name is."""
    text = " ".join(part.text for part in span)
    if any(part.kind == "mark" for part in span) or phrase:
        return None
    if length == 1 and (span[0].kind != "word" or not (text[0].isupper() or len(text) > 3)):
        return None
    normal = normal_text(text)
    held = profile.value_index.get(normal)
    if not held and plain(normal) in profile.value_index:
        held, text = profile.value_index[plain(normal)], plain(normal)
    found = held[0][1] if held else names.values.get(plain(normal))
    return found and _VALUE[0] + found + _VALUE[1]


def _whole_name(span: Sequence[_Part], code: str, names: _Names) -> str | None:
    """The name of a table or column that a span is, without its small words."""
    if any(part.kind == "mark" for part in span) or {span[0].word, span[-1].word} & INNER:
        return None
    words = [part.word for part in span if part.word not in INNER or len(span) == 1]
    for chosen in _choices([keys(word, code) for word in words]):
        if (name := names.whole.get(chosen)) is not None:
            return _NAME[0] + name + _NAME[1]
    return None


def _choices(options: Sequence[Sequence[str]]) -> Iterator[tuple[str, ...]]:
    if len(options) > 3:
        return
    if not options:
        yield ()
        return
    for first in options[0]:
        for rest in _choices(options[1:]):
            yield (first, *rest)


def _by_the_word(part: _Part, language: Language, names: _Names) -> str | None:
    """A single word: one of a name, what the lexicon knows, or a compound of these."""
    if part.kind != "word":
        return None
    code = language.code
    for key in keys(part.word, code):
        if key in names.words:
            return _NAME[0] + names.words[key] + _NAME[1]
    known = _dictionary(code)
    for key in keys(part.word, code):
        if key in known:
            return _called(known[key].split(), code, names)
    for prefix, said in language.phrases.get(PREFIXES, {}).items():
        rest = part.word.removeprefix(prefix)
        if rest != part.word and len(rest) >= PREFIX_REST_MIN:
            inner = _whole_name([_Part(rest, "word")], code, names)
            inner = inner or _by_the_word(_Part(rest, "word"), language, names)
            if inner:
                return f"{said} {inner}"
    return None


def _chosen(said: str, code: str, names: _Names) -> str:
    return _CHOICE.sub(lambda match: _called(match[1].split(), code, names), said)


def _called(words: Sequence[str], code: str, names: _Names) -> str:
    """Of the words that schemas use, the first that this schema does; the first if it has none."""
    for word in words:
        parts = word.split("_")
        for chosen in _choices([keys(part, code) for part in parts]):
            if chosen in names.whole:
                return _NAME[0] + names.whole[chosen] + _NAME[1]
        if len(parts) == 1:
            for key in keys(word, code):
                if key in names.words:
                    return _NAME[0] + names.words[key] + _NAME[1]
    return _NAME[0] + words[0].replace("_", " ") + _NAME[1]


def _proper(part: _Part, at: int, code: str) -> bool:
    """Whether an unknown word is the name of somebody or something: any noun is, in German."""
    return part.text[0].isupper() and at > 0 and code != "de"


def _number(text: str) -> str:
    """`1.000.000` and `1,5` as English writes them."""
    if re.fullmatch(r"\d{1,3}(?:[.\u202f\u00a0]\d{3})+(?:,\d+)?", text):
        text = re.sub(r"[.\u202f\u00a0]", "", text)
    return re.sub(r"^(\d+),(\d+)$", r"\1.\2", text)


def _ordered(text: str, code: str, names: _Names) -> str:
    """The parts in the order of English, and without the marks of names and values."""
    text = re.sub(r"\s+([?.!,;])", r"\1", text)
    for _ in range(PASSES):
        for pattern, becomes in _order(code):
            text = _chosen(pattern.sub(becomes, text), code, names)
    text = re.sub("[" + "".join((*_NAME, *_VALUE)) + "]", "", text)
    return re.sub(r"\s+([?.!,;])", r"\1", re.sub(r"\s+", " ", text)).strip()


@cache
def _phrases(code: str) -> tuple[Mapping[tuple[str, ...], str], int]:
    """Phrases as words, also without accents; and the length of the longest."""
    exact: dict[tuple[str, ...], str] = {}
    bare: dict[tuple[str, ...], str] = {}
    for group, phrases in lexicon().languages[code].phrases.items():
        if group in (NAMES, PREFIXES):
            continue
        for phrase, said in phrases.items():
            words = tuple(part.word for part in _parts(phrase))
            exact[words] = said
            bare.setdefault(tuple(map(plain, words)), said)
    return bare | exact, max(map(len, exact), default=0)


@cache
def _dictionary(code: str) -> Mapping[str, str]:
    """What schemas call things, by each key of the word for it."""
    known = lexicon().languages[code].phrases.get(NAMES, {})
    found = dict(known)
    for word, called in known.items():
        for key in keys(word, code):
            found.setdefault(key, called)
    return found


@cache
def _order(code: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """The patterns of a language; `{name}`, `{value}`, `{number}` or a group's phrases in them."""
    language = lexicon().languages[code]
    parts = {
        "name": f"{_NAME[0]}[^{_NAME[1]}]*{_NAME[1]}",
        "value": f"{_VALUE[0]}[^{_VALUE[1]}]*{_VALUE[1]}",
        "number": r"\d[\d.-]*",
    }
    for group, phrases in language.phrases.items():
        outcomes = sorted({said for said in phrases.values() if said}, key=len, reverse=True)
        written = (_CHOICE.split(outcome)[::2] for outcome in outcomes)
        said = (parts["name"].join(map(re.escape, each)) for each in written)
        parts.setdefault(group, "|".join(said))
    return [
        (re.compile(re.sub(r"\{(\w+)\}", lambda m: f"(?:{parts[m[1]]})", pattern)), becomes)
        for pattern, becomes in language.order
    ]


def _names_of(profile: Profile, code: str) -> _Names:
    """The names of a schema by the keys of a language."""
    found = _Names()
    tables, columns = profile.tables, profile.columns
    called = [_words_of(name) for name in (*(t.name for t in tables), *(c.name for c in columns))]
    found.whole = {tuple(words): " ".join(words) for words in called}
    for words in called:
        for chosen in _choices([keys(word, code) for word in words]):
            found.whole.setdefault(chosen, " ".join(words))
        for word in words if len(words) > 1 else ():
            for key in keys(word, code):
                found.words.setdefault(key, word)
    for text, held in profile.value_index.items():
        if not text.isascii():
            found.values.setdefault(plain(text), held[0][1])
    return found


def _words_of(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [part.lower() for part in re.split(r"[\s_\-./]+", spaced) if part]
