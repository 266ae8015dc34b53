"""Words of relations: the words of a question one by one, and the roots that verbs and roles share.

root("sender") == root("sent") == root("sends")
"""

import re
from collections.abc import Collection

from mcp_server.nl2sql.schema.model import Column, ForeignKey, Table
from mcp_server.nl2sql.words.tokens import Mark, Token, lemma, stem, tokenize

OWNING = "'s"
"""The token that stands for a possessive ending."""
_CONTRACTED = re.compile(r"\b(who|what|where|which|that|it|there)['’]s\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"(?<=\w)(?:['’]s\b|(?<=s)['’](?= )| 's\b)")
_FORMS = {
    "sent": "send", "led": "lead", "wrote": "write", "written": "write", "built": "build",
    "sold": "sell", "bought": "buy", "made": "make", "flew": "fly", "flown": "fly",
    "taught": "teach", "won": "win", "paid": "pay", "gave": "give", "given": "give",
    "took": "take", "taken": "take", "held": "hold", "ran": "run", "drove": "drive",
    "driven": "drive", "sang": "sing", "sung": "sing", "met": "meet", "chose": "choose",
    "chosen": "choose", "brought": "bring", "kept": "keep", "told": "tell", "beat": "beat",
    "beaten": "beat", "knew": "know", "known": "know", "ate": "eat", "eaten": "eat",
    "oversaw": "oversee", "overseen": "oversee", "lent": "lend", "caught": "catch",
    "drew": "draw", "drawn": "draw", "spoke": "speak", "spoken": "speak", "wore": "wear",
    "worn": "wear", "swam": "swim", "rode": "ride", "ridden": "ride", "grew": "grow",
    "grown": "grow", "went": "go", "gone": "go", "came": "come", "left": "leave", "lost": "lose",
}  # fmt: skip
"""Past forms that look unlike their verbs."""
_SAME = {
    "author": "write", "recipi": "receive", "boss": "manage", "superior": "manage",
    "addressee": "receive", "adjoin": "border", "surround": "border", "neighbor": "border",
    "neighbour": "border", "abut": "border", "origin": "depart", "destination": "arrive",
}  # fmt: skip
"""Roles that are called otherwise than what they do."""
_ENDINGS = ("er", "or", "ee", "e")
_ROOT_MIN = 3
NUMBERED = frozenset({"id", "code", "no", "number", "nr", "key", "ref", "fk", "uuid", "num"})
"""Words of a key's name that say nothing of what it is a key to."""
SMALL = frozenset({"by", "to", "of", "the", "a", "an", "in", "on", "at", "for", "be"})


def heard(question: str) -> list[Token]:
    """The tokens of a question, possessive endings among them."""
    text = _CONTRACTED.sub(r"\1 is", question)
    found: list[Token] = []
    for number, part in enumerate(_POSSESSIVE.split(text)):
        if number:
            found.append(Token(OWNING, OWNING, Mark.WORD))
        found += tokenize(part)
    return found


def root(word: str) -> str:
    """What a verb, its doer and what it is done to have in common."""
    low = word.lower()
    known = _FORMS.get(low, low)
    base = _SAME.get(stem(known), known)
    found = stem(base)
    for ending in _ENDINGS:
        if found.endswith(ending) and len(found) - len(ending) >= _ROOT_MIN:
            return found.removesuffix(ending)
    return found


def role_words(column: Column, target: Table) -> tuple[str, ...]:
    """What a key says of the row it refers to, besides which table that is in."""
    words = [w for w in column.words if w not in NUMBERED and w not in SMALL]
    return tuple(w for w in words if w not in target.words) or (
        () if set(words) <= set(target.words) else tuple(words)
    )


def roots(words: Collection[str]) -> set[str]:
    """The roots of several words."""
    return {root(lemma(word)) for word in words}


_HAVING = "own have has had make made do did does place get got take took hold held belong submit"
HAVING = frozenset(map(root, _HAVING.split()))


def may_do(said: str, key: ForeignKey) -> bool:
    """Whether the root of a verb says no more of people than that rows are theirs: `who placed
    them`, and not `who painted them`.
    """
    named = (*key.column.table.words, *key.column.words, *key.target.table.words)
    return said in HAVING or said in {root(word) for word in named}
