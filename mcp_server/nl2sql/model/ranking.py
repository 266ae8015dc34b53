"""Which tables and columns a question may need, for the prompt of a large schema.

A recall question, not a translation: what is left out cannot be used, what is kept costs a line.
So every kind of evidence counts, weak ones too: the name written out, words of it in any form,
run-together names taken apart by the question's own words, example values, what a question word
asks for, and being near in the graph of foreign keys to what is needed for sure.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from itertools import combinations

from mcp_server.nl2sql.model.prompt import PromptColumn, PromptSchema, PromptTable
from mcp_server.nl2sql.words.tokens import identifier_words, lemma, stem

WHOLE_SCHEMA_COLUMNS = 150
"""A schema of at most this many columns is shown whole; of a larger one, this many are kept."""
WIDE = 60
"""Of a table with more columns than this, so many are shown."""
FOR_TABLES = 0.85
"""Of the columns kept, the share for whole tables; the rest is for keys between them."""

# What each kind of evidence adds to a column's score.
WRITTEN_OUT = 4.0
NAMED_BY_WORDS = 2.0
EXAMPLE_VALUE = 1.5
COMMENTED = 0.8
ASKED_FOR = 0.5
TABLE_NAMED = 1.0
FROM_COLUMNS = 0.5  # of its best column's score, what a table gains
NEIGHBOUR = 0.3
SHORTEST_PIECE = 3  # letters of a word that may take a run-together name apart

# What columns an interrogative asks for, by words that such columns have in their names.
ASKS_FOR = {
    "who": "name first last full title user author person display",
    "whose": "name first last full user author",
    "whom": "name first last full",
    "when": "date time year month day",
    "year": "date year time",
    "month": "date month",
    "day": "date day",
    "date": "date time year",
    "old": "birth birthday dob age date",
    "young": "birth birthday dob age date",
    "age": "birth birthday dob age date",
    "born": "birth birthday dob",
    "where": "city country state county street address location place district region zip",
    "address": "street city state zip address",
    "location": "city country place location lat lng latitude longitude address",
    "nationality": "country nation nationality",
    "nation": "country nation nationality",
    "website": "url web site link",
    "page": "url web site link",
    "male": "sex gender",
    "female": "sex gender",
    "man": "sex gender",
    "woman": "sex gender",
    "gender": "sex gender",
    "name": "name first last full title",
    "person": "name first last",
    "phone": "phone tel telephone",
    "email": "mail email",
    "cost": "price cost amount expense spent",
    "price": "price cost amount",
    "spend": "price cost amount spent expense",
    "pay": "price cost amount payment paid",
    "long": "length duration time milliseconds",
    "fast": "speed time rank lap",
    "win": "winner position rank result score points",
    "winner": "winner position rank result score points",
    "champion": "position rank points winner",
    "rank": "position rank",
    "tall": "height",
    "high": "height score",
    "heavy": "weight",
    "size": "size length width area",
    "often": "frequency count",
    "kind": "type category kind class",
    "type": "type category kind class label",
    "status": "status state type",
}

ABBREVIATIONS = {
    word: frozenset(short.split())
    for word, short in {
        "average": "avg mean",
        "number": "num nbr cnt",
        "count": "num cnt",
        "amount": "amt",
        "quantity": "qty",
        "address": "addr",
        "telephone": "tel phone",
        "description": "desc descr",
        "percent": "pct perc rate",
        "percentage": "pct perc rate",
        "minimum": "min",
        "maximum": "max",
        "total": "tot sum",
        "department": "dept",
        "employee": "emp",
        "manager": "mgr",
        "customer": "cust",
        "product": "prod",
        "account": "acct acc",
        "transaction": "trans txn",
        "longitude": "lng lon",
        "latitude": "lat",
        "organization": "org",
        "reference": "ref",
        "temperature": "temp",
        "year": "yr",
        "birthday": "dob birth",
        "birth": "dob",
        "position": "pos",
        "language": "lang",
        "category": "cat",
        "information": "info",
        "statistic": "stat",
        "previous": "prev",
        "current": "cur curr",
    }.items()
}


def rank(schema: PromptSchema, question: str, evidence: str = "") -> dict[tuple[str, str], float]:
    """A score of 0 or more for every (table, column) of the schema; higher is likelier."""
    words = _Words(f"{question} {evidence}")
    rarity = _rarity(schema)
    own = {
        (table.name, column.name): _column_score(column, words, rarity)
        for table in schema.tables
        for column in table.columns
    }
    tables = {table.name: _table_score(table, own, words) for table in schema.tables}
    near = _neighbours(schema, tables)
    keys = set().union(*_joins(schema).values())
    scores: dict[tuple[str, str], float] = {}
    for table in schema.tables:
        base = tables[table.name] + near.get(table.name, 0.0)
        for column in table.columns:
            at = (table.name, column.name)
            key = 0.5 * base if column.primary_key or at in keys else 0.0
            scores[at] = own[at] + base + key
    return scores


def prune(
    schema: PromptSchema, question: str, evidence: str = "", most: int = WHOLE_SCHEMA_COLUMNS
) -> PromptSchema:
    """The part of a large schema that the question may need; a small one as it is.

    The likeliest tables are shown whole: what is asked of a table is often in a column that the
    question does not name. Of a table with more than WIDE columns, those that are likely are
    shown. Then come the keys that join tables, the likeliest columns of others, and the names of
    what is left out.
    """
    if sum(len(table.columns) for table in schema.tables) <= most:
        return schema
    scores = rank(schema, question, evidence)
    kept = _whole_tables(schema, scores, most)
    joining = sorted(_keys_of(schema, kept), key=lambda at: -scores[at])
    kept |= set(joining[: most - len(kept)])
    kept = keep(schema, scores, most, kept)
    tables = tuple(
        replace(table, columns=tuple(c for c in table.columns if (table.name, c.name) in kept))
        for table in schema.tables
        if any(at[0] == table.name for at in kept)
    )
    keys = tuple(
        key
        for key in schema.keys
        if {(key.table, c) for c in key.columns} | {(key.target, c) for c in key.target_columns}
        <= kept
    )
    shown = {table.name for table in tables}
    others = (table.name for table in _likeliest(schema, scores) if table.name not in shown)
    return PromptSchema(schema.database, tables, keys, tuple(others))


def _whole_tables(
    schema: PromptSchema, scores: Mapping[tuple[str, str], float], most: int
) -> set[tuple[str, str]]:
    """The columns of the likeliest tables, as many as there is room for beside the joins."""
    room = int(most * FOR_TABLES)
    kept: set[tuple[str, str]] = set()
    for table in _likeliest(schema, scores):
        its = [(table.name, column.name) for column in table.columns]
        if len(its) > WIDE:
            its = sorted(its, key=lambda at: -scores[at])[:WIDE]
        if len(kept) + len(its) > room:
            break
        kept |= set(its)
    return kept


def likeliest(schema: PromptSchema, question: str, evidence: str = "") -> list[PromptTable]:
    """The tables, those first that the question is most likely about."""
    return _likeliest(schema, rank(schema, question, evidence))


def _likeliest(schema: PromptSchema, scores: Mapping[tuple[str, str], float]) -> list[PromptTable]:
    return sorted(
        schema.tables,
        key=lambda table: -max((scores[table.name, c.name] for c in table.columns), default=0.0),
    )


def _keys_of(schema: PromptSchema, kept: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The columns of the tables between two that are kept, and their keys."""
    shown = {at[0] for at in kept}
    between: set[tuple[str, str]] = set()
    for table in schema.tables:
        mine = [key for key in schema.keys if key.table == table.name and key.target in shown]
        if table.name in shown or len({key.target for key in mine}) > 1:
            between |= {(key.table, column) for key in mine for column in key.columns}
    return between - kept


def keep(
    schema: PromptSchema,
    scores: Mapping[tuple[str, str], float],
    most: int,
    already: Set[tuple[str, str]] = frozenset(),
) -> set[tuple[str, str]]:
    """At most `most` columns, best first; with a table come its key and its joins to kept ones.

    already: columns that are kept in any case.
    """
    primary = {
        table.name: {(table.name, c.name) for c in table.columns if c.primary_key}
        for table in schema.tables
    }
    joins = _joins(schema)
    kept = set(already)
    reached = {at[0] for at in kept}
    for at in sorted(scores, key=lambda at: -scores[at]):
        wanted = {at}
        if at[0] not in reached:
            wanted |= primary[at[0]]
            for other in reached:
                wanted |= joins.get(frozenset((at[0], other)), set())
        if len(kept | wanted) > most:
            wanted = {at}  # better without its joins than not at all
        if len(kept | wanted) <= most:
            kept |= wanted
            reached.add(at[0])
    return kept


class _Words:
    """The words of a question in the forms that names are compared with."""

    def __init__(self, text: str) -> None:
        raw = re.findall(r"[^\W_]+", text)
        self.lower = text.lower()
        self.stems = {stem(word) for word in raw} | {
            stem(part) for word in re.findall(r"\w+", text) for part in identifier_words(word)
        }
        self.run_together = {_squeeze(word) for word in re.findall(r"[\w.]+", text)}
        self.run_together |= {word.rpartition(".")[2] for word in self.run_together}
        plain = [_squeeze(word) for word in raw]
        for length in (2, 3, 4):
            for i in range(len(plain) - length + 1):
                self.run_together.add("".join(plain[i : i + length]))
        forms = {
            form
            for word in raw
            for form in (word.lower(), lemma(word), stem(word), _skeleton(word))
        }
        for word in raw:
            forms |= ABBREVIATIONS.get(lemma(word), frozenset())
        self.pieces = sorted(
            (form for form in forms if len(form) >= SHORTEST_PIECE), key=len, reverse=True
        )
        lemmas = {lemma(word) for word in raw}
        self.asked = {stem(part) for word in lemmas for part in ASKS_FOR.get(word, "").split()}

    def say(self, part: str) -> bool:
        """Whether a word of the question is, or holds, a word of a name."""
        if part in self.stems:
            return True
        return len(part) >= 4 and any(part in word for word in self.stems)


def _column_score(column: PromptColumn, words: _Words, rarity: Mapping[str, float]) -> float:
    name = column.name.strip('"')
    squeezed = _squeeze(name)
    score = 0.0
    if squeezed in words.run_together or squeezed + "s" in words.run_together:
        score += WRITTEN_OUT * (1.0 if len(squeezed) > 2 else 0.5)
    parts = [stem(part) for part in identifier_words(name)]
    total = sum(rarity.get(part, 1.0) for part in parts) or 1.0
    said = sum(rarity.get(part, 1.0) for part in parts if words.say(part))
    taken_apart = _taken_apart(squeezed, words.pieces)
    score += NAMED_BY_WORDS * max(said / total, taken_apart)
    if any(part in words.asked for part in parts) or any(
        ask in squeezed for ask in words.asked if len(ask) > 3
    ):
        score += ASKED_FOR
    if column.comment:
        noted = {stem(word) for word in re.findall(r"[^\W_]+", column.comment)}
        shared = noted & words.stems
        score += COMMENTED * min(1.0, sum(rarity.get(w, 1.0) for w in shared) / 3)
    for example in column.examples:
        if len(example) > 2 and example.lower() in words.lower:
            score += EXAMPLE_VALUE
            break
    return score


def _table_score(table: PromptTable, own: Mapping[tuple[str, str], float], words: _Words) -> float:
    name = table.name.rpartition(".")[2].strip('"')
    parts = [stem(part) for part in identifier_words(name)]
    said = sum(part in words.stems for part in parts) / max(1, len(parts))
    named = max(said, _taken_apart(_squeeze(name), words.pieces))
    best = sorted((own[table.name, c.name] for c in table.columns), reverse=True)[:3]
    return TABLE_NAMED * named + FROM_COLUMNS * sum(
        score * weight for score, weight in zip(best, (0.6, 0.3, 0.1), strict=False)
    )


def _neighbours(schema: PromptSchema, tables: Mapping[str, float]) -> dict[str, float]:
    near: dict[str, float] = {}
    for key in schema.keys:
        for one, other in ((key.table, key.target), (key.target, key.table)):
            if one != other:
                near[one] = max(near.get(one, 0.0), NEIGHBOUR * tables.get(other, 0.0))
    return near


def _rarity(schema: PromptSchema) -> dict[str, float]:
    """A word that many columns have says little about which is meant; 0.3..1."""
    counts: Counter[str] = Counter()
    for table in schema.tables:
        for column in table.columns:
            counts.update({stem(part) for part in identifier_words(column.name.strip('"'))})
    most = math.log(1 + max(counts.values(), default=1))
    return {word: 1.0 - 0.7 * math.log(count) / most for word, count in counts.items()}


def _taken_apart(name: str, pieces: Iterable[str]) -> float:
    """How much of a run-together name the words of the question cover, 0..1."""
    left, covered = name, 0
    for piece in pieces:
        if piece in left:
            left = left.replace(piece, " ", 1)
            covered += len(piece)
    return covered / len(name) if name else 0.0


def _joins(schema: PromptSchema) -> dict[frozenset[str], set[tuple[str, str]]]:
    """The columns that join two tables: foreign keys, and identifiers of one name in both."""
    found: dict[frozenset[str], set[tuple[str, str]]] = {}
    for key in schema.keys:
        between = found.setdefault(frozenset((key.table, key.target)), set())
        between |= {(key.table, column) for column in key.columns}
        between |= {(key.target, column) for column in key.target_columns}
    owners: dict[str, list[str]] = {}
    for table in schema.tables:
        for column in table.columns:
            if _IDENTIFIER.search(column.name) and column.name != "id":
                owners.setdefault(column.name, []).append(table.name)
    for column_name, tables in owners.items():
        for one, other in combinations(tables, 2):
            found.setdefault(frozenset((one, other)), {(one, column_name), (other, column_name)})
    return found


_IDENTIFIER = re.compile(r"(id|uuid|code|key|no|number)\"?$", re.IGNORECASE)


def _skeleton(word: str) -> str:
    """The first letter and the consonants: `score` is shortened to `scr`."""
    low = word.lower()
    return low[:1] + re.sub(r"[aeiou]", "", low[1:])


def _squeeze(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())
