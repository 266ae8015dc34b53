"""A database of very many tables, narrowed to those that a question may be about.

Every table is known; those whose names, columns or values the question's words are found in go
before the others, and bring the tables that join them.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from mcp_server.nl2sql.schema.model import Profile, Table
from mcp_server.nl2sql.words.lexicon import STOP, synonyms
from mcp_server.nl2sql.words.tokens import Mark, Token, normal_text, stem

T = TypeVar("T")
WHOLE_MAX = 400
"""A database of no more tables is looked at as a whole."""
NARROWED_TO = 120
"""Tables that the words of a question bring; half as many may join those."""
KEPT = 8
NAMED, COLUMN, HELD = 3.0, 1.0, 2.0
"""What a word counts that names a table, or a column of it, or is a value in it."""
PHRASE_MAX = 4


class Narrowing(Generic[T]):
    """What is made of a profile, once for all of it or for the tables of each question.

    make: what makes it; the last KEPT are remembered.
    """

    def __init__(self, profile: Profile, make: Callable[[Profile], T]) -> None:
        self.profile = profile
        self._make = make
        self._kept: OrderedDict[frozenset[Table], T] = OrderedDict()
        self._whole = make(profile) if len(profile.tables) <= WHOLE_MAX else None
        self._named: dict[str, dict[Table, float]] = defaultdict(dict)
        self._near: dict[Table, list[Table]] = defaultdict(list)
        if self._whole is None:
            self._index()

    def about(self, tokens: Sequence[Token]) -> T:
        """What was made of the tables that a question may be about."""
        if self._whole is not None:
            return self._whole
        tables = frozenset(self.tables(tokens))
        made = self._kept.get(tables)
        if made is None:
            made = self._kept[tables] = self._make(self.profile.only(tables))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    def tables(self, tokens: Sequence[Token]) -> list[Table]:
        """The tables that the words speak of, best first, and then those that join them."""
        scores: Counter[Table] = Counter()
        for token in tokens:
            if token.mark is not Mark.PUNCTUATION and token.lemma not in STOP:
                for table, score in self._heard(token.lemma).items():
                    scores[table] += score  # type: ignore[assignment]
        for text in _phrases(tokens):
            for table in {column.table for column, _ in self.profile.value_index.get(text, ())}:
                scores[table] += HELD  # type: ignore[assignment]
        place = {table: number for number, table in enumerate(self.profile.tables)}
        best = sorted(scores, key=lambda table: (-scores[table], place[table]))[:NARROWED_TO]
        return [*best, *self._joining(best)]

    def _index(self) -> None:
        for table in self.profile.tables:
            for column in table.columns:
                for word in column.words:
                    self._named[stem(word)].setdefault(table, COLUMN)
            for word in table.words:
                self._named[stem(word)][table] = NAMED
        for column in self.profile.derived:
            for word in column.words if column.measured else ():
                self._named[stem(word)][column.table] = NAMED
        for key in self.profile.foreign_keys:
            self._near[key.column.table].append(key.target.table)
            self._near[key.target.table].append(key.column.table)

    def _heard(self, word: str) -> dict[Table, float]:
        """The tables that a word is found in; a synonym counts half."""
        found = {t: score / 2 for other in synonyms(word) for t, score in self._of_stem(other)}
        return found | dict(self._of_stem(word))

    def _of_stem(self, word: str) -> Iterable[tuple[Table, float]]:
        return self._named.get(stem(word), {}).items()

    def _joining(self, best: Sequence[Table]) -> list[Table]:
        """The tables around, the nearest first."""
        seen, waiting = dict.fromkeys(best), deque(best)
        while waiting and len(seen) < len(best) + NARROWED_TO // 2:
            for other in self._near.get(waiting.popleft(), ()):
                if other not in seen:
                    seen[other] = None
                    waiting.append(other)
        return list(seen)[len(best) : len(best) + NARROWED_TO // 2]


def _phrases(tokens: Sequence[Token]) -> Iterator[str]:
    for start in range(len(tokens)):
        for end in range(start + 1, min(len(tokens), start + PHRASE_MAX) + 1):
            yield normal_text(" ".join(token.text for token in tokens[start:end]))
