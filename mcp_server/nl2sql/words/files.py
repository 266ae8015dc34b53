"""The lexicon: TOML files of this package, and those that users add; read once for a process.

Users' files are those in `~/.config/borealis/lexicon` (under XDG_CONFIG_HOME where that is set), or
the files and folders that BOREALIS_LEXICON names. What they say is added to the package's; the form
is in `docs/nl2sql-lexicon.md`.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from mcp_server.nl2sql.errors import LexiconError
from mcp_server.nl2sql.words import LEXICON_VARIABLE

FORMAT = 1
ENGLISH = "en"
OWN = Path(__file__).parent / "data"

WORDS = (
    "people", "birth", "made", "leaving", "leaving_names", "arriving", "arriving_names", "polite",
    "stop", "nouns_in_stop", "filler", "noise_in_table_names", "limiting", "idle", "relating",
)  # fmt: skip
"""Keys that hold words with spaces between."""


@dataclass(slots=True)
class Language:
    """What turns questions of another language into English; `languages` says how.

    tells: words that tell it. called: words of columns that hold names. phrases: by the group that
    they are in, what stands for which words; those of the group `names` are what schemas call
    things. order: patterns, and what they become.
    """

    code: str
    name: str = ""
    tells: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()
    phrases: dict[str, dict[str, str]] = field(default_factory=dict)
    order: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Lexicon:
    """All that the files say. words: by key, in the order of the files."""

    synonyms: list[frozenset[str]] = field(default_factory=list)
    related: list[frozenset[str]] = field(default_factory=list)
    words: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(WORDS, ()))
    superlatives: dict[str, tuple[tuple[str, ...], bool]] = field(default_factory=dict)
    comparatives: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    measured: dict[str, tuple[str, ...]] = field(default_factory=dict)
    phrases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    said_otherwise: dict[str, tuple[str, ...]] = field(default_factory=dict)
    states: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)
    lemmas: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    peoples: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    languages: dict[str, Language] = field(default_factory=dict)


@cache
def lexicon() -> Lexicon:
    """The lexicon of this process. Raises LexiconError for a file with a mistake."""
    return read([*sorted(OWN.glob("*.toml")), *files_of_users(os.environ, Path.home())])


def files_of_users(environment: Mapping[str, str], home: Path) -> list[Path]:
    """The files that users add. Raises LexiconError where one that they name is not there."""
    named = environment.get(LEXICON_VARIABLE)
    if not named:
        config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
        return sorted((config / "borealis" / "lexicon").glob("*.toml"))
    found: list[Path] = []
    for part in filter(None, named.split(os.pathsep)):
        path = Path(part).expanduser()
        if not path.exists():
            raise LexiconError(f"{LEXICON_VARIABLE} names {path}, which is not there")
        found += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    return found


def read(paths: Iterable[Path]) -> Lexicon:
    """What files say, the later after the earlier. Raises LexiconError."""
    found = Lexicon()
    for path in paths:
        try:
            text = path.read_text("utf-8")
            document = tomllib.loads(text)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise LexiconError(f"the lexicon {path} cannot be read: {error}") from error
        _File(path, text).add(document, found)
    return found


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    text: str

    def add(self, document: Mapping[str, Any], found: Lexicon) -> None:
        """Add what it says."""
        self._expect(document.get("format") == FORMAT, f"must be {FORMAT}", "format")
        code = document.get("language", ENGLISH)
        self._expect(isinstance(code, str), "must be a code as 'de'", "language")
        said = {key: v for key, v in document.items() if key not in ("format", "language")}
        if code == ENGLISH:
            readers: dict[str, Callable[[str, Any, Lexicon], None]] = {
                "synonyms": self._groups, "related": self._groups,
                "superlatives": self._superlatives, "comparatives": self._comparatives,
                "measured": self._spaced, "said_otherwise": self._spaced,
                "phrases": self._spaced, "states": self._states,
                "lemmas": self._lemmas, "numbers": self._numbers,
                "peoples": self._peoples, "codes": self._codes,
                **dict.fromkeys(WORDS, self._words),
            }  # fmt: skip
            for key, value in said.items():
                if key not in readers:
                    raise self._error(f"is not known{_nearest(key, readers)}", key)
                readers[key](key, value, found)
        else:
            self._language(said, found.languages.setdefault(code, Language(code)))

    def _groups(self, key: str, value: Any, found: Lexicon) -> None:
        strings = isinstance(value, list) and all(isinstance(each, str) for each in value)
        self._expect(strings, "must be a list of texts with words", key)
        groups = [frozenset(each.lower().split()) for each in value]
        self._expect(all(len(group) > 1 for group in groups), "needs two words in each text", key)
        (found.synonyms if key == "synonyms" else found.related).extend(groups)

    def _words(self, key: str, value: Any, found: Lexicon) -> None:
        found.words[key] = (*found.words[key], *self._split(value, key))

    def _superlatives(self, key: str, value: Any, found: Lexicon) -> None:
        for phrase, entry in self._table(value, key):
            columns, largest = self._entry(entry, "largest", key, phrase)
            self._expect(isinstance(largest, bool), "largest must be true or false", key, phrase)
            found.superlatives[phrase] = columns, largest

    def _comparatives(self, key: str, value: Any, found: Lexicon) -> None:
        for phrase, entry in self._table(value, key):
            columns, sign = self._entry(entry, "sign", key, phrase)
            self._expect(sign in ("<", ">"), "sign must be '<' or '>'", key, phrase)
            found.comparatives[phrase] = columns, sign

    def _spaced(self, key: str, value: Any, found: Lexicon) -> None:
        there: dict[str, tuple[str, ...]] = getattr(found, key)
        for word, columns in self._table(value, key):
            there[word] = self._split(columns, key, word)

    def _states(self, key: str, value: Any, found: Lexicon) -> None:
        for name, entry in self._table(value, key):
            known = isinstance(entry, dict) and entry.keys() == {"done", "undone"}
            self._expect(known, "must have `done` and `undone`", key, name)
            said = (self._split(entry[how], key, name) for how in ("done", "undone"))
            done, undone = (tuple(w.replace("-", " ") for w in words) for words in said)
            before = found.states.get(name, ((), ()))
            found.states[name] = (*before[0], *done), (*before[1], *undone)

    def _lemmas(self, key: str, value: Any, found: Lexicon) -> None:
        found.lemmas |= self._texts(value, key)

    def _numbers(self, key: str, value: Any, found: Lexicon) -> None:
        for word, number in self._table(value, key):
            whole = isinstance(number, int) and not isinstance(number, bool)
            self._expect(whole, "must be a whole number", key, word)
            found.numbers[word] = number

    def _peoples(self, key: str, value: Any, found: Lexicon) -> None:
        for names, people in self._texts(value, key).items():
            found.peoples[tuple(names.split(", "))] = tuple(people.split(", "))

    def _codes(self, key: str, value: Any, found: Lexicon) -> None:
        found.codes |= self._texts(value, key)

    def _language(self, said: Mapping[str, Any], found: Language) -> None:
        for key, value in said.items():
            if key == "name":
                self._expect(isinstance(value, str), "must be a text", key)
                found.name = value
            elif key == "tells":
                found.tells |= frozenset(self._split(value, key))
            elif key == "called":
                found.called |= frozenset(self._split(value, key))
            elif key == "order":
                found.order += self._order(value, found)
            else:
                there = found.phrases.setdefault(key, {})
                there |= self._texts(value, key)

    def _order(self, value: Any, found: Language) -> list[tuple[str, str]]:
        rules = []
        for rule in value if isinstance(value, list) else [value]:
            known = isinstance(rule, dict) and rule.keys() == {"from", "to"}
            texts = known and all(isinstance(each, str) for each in rule.values())
            self._expect(texts, "must be tables with the texts `from` and `to`", "order")
            try:
                re.compile(rule["from"].replace("{", "(?:").replace("}", ")"))
            except re.error as error:
                raise self._error(
                    f"has no pattern in {rule['from']!r}: {error}", "order"
                ) from error
            rules.append((rule["from"], rule["to"]))
        return rules

    def _table(self, value: Any, key: str) -> Sequence[tuple[str, Any]]:
        self._expect(isinstance(value, dict), "must be a table", key)
        return [(phrase.lower(), entry) for phrase, entry in value.items()]

    def _texts(self, value: Any, key: str) -> dict[str, str]:
        found = self._table(value, key)
        for phrase, text in found:
            self._expect(isinstance(text, str), "must be a text", key, phrase)
        return dict(found)

    def _entry(self, entry: Any, other: str, *keys: str) -> tuple[tuple[str, ...], Any]:
        known = isinstance(entry, dict) and entry.keys() == {"columns", other}
        self._expect(known, f"must have `columns` and `{other}`", *keys)
        return self._split(entry["columns"], *keys), entry[other]

    def _split(self, value: Any, *keys: str) -> tuple[str, ...]:
        self._expect(isinstance(value, str), "must be a text with words", *keys)
        return tuple(value.lower().split())

    def _expect(self, holds: bool, problem: str, *keys: str) -> None:
        if not holds:
            raise self._error(problem, *keys)

    def _error(self, problem: str, *keys: str) -> LexiconError:
        line = _line_of(self.text, keys)
        where = f", line {line}" if line else ""
        return LexiconError(f"the lexicon {self.path}{where}: {'.'.join(keys)} {problem}")


def _line_of(text: str, keys: Sequence[str]) -> int:
    """The line that a key is in; 0 where it has none."""
    table, last = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*\"?([^\]\"]+)\"?\s*\]", line):
            table = header[1].strip()
            if table == keys[0]:
                last = number
        elif entry := re.match(r"\s*(?:\"([^\"]+)\"|([\w-]+))\s*=", line):
            path = (entry[1] or entry[2]).lower()
            if [*filter(None, [table]), path] == list(keys):
                return number
    return last


def _nearest(key: str, known: Iterable[str]) -> str:
    near = get_close_matches(key, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
