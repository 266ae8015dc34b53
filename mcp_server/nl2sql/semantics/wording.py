"""A question in the words of the schema: synonyms of the user's give way to what they stand for."""

import re
from collections.abc import Sequence

from mcp_server.nl2sql.schema.model import Synonym
from mcp_server.nl2sql.words.tokens import lemma

_WORD = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)|[^\W_]+(?:['’-][^\W_]+)*")
_SORTING = frozenset({"order", "sort", "rank"})
_DIRECTIONS = frozenset(
    {"ascending", "descending", "alphabetical", "increasing", "decreasing", "reverse", "in",
     "chronological"}
)  # fmt: skip


def in_own_words(text: str, synonyms: Sequence[Synonym]) -> tuple[str, tuple[str, ...]]:
    """The question in words of the schema, and what was taken for what; quoted texts stay."""
    if not synonyms:
        return text, ()
    known = {synonym.words: synonym.stands_for for synonym in synonyms}
    longest = max(map(len, known))
    found = list(_WORD.finditer(text))
    lemmas = [lemma(match.group()) for match in found]
    parts: list[str] = []
    notes: list[str] = []
    done = at = 0
    while at < len(found):
        for length in range(min(longest, len(found) - at), 0, -1):
            own = known.get(tuple(lemmas[at : at + length]))
            if own is None or _sorts(lemmas, at, length):
                continue
            start, end = found[at].start(), found[at + length - 1].end()
            said = text[start:end]
            several = lemma(said.split()[-1]) != said.split()[-1].lower()
            stands = " ".join((*own[:-1], _plural(own[-1]) if several else own[-1]))
            if said.lower() != stands:
                notes.append(f"{said!r} is read as {stands!r}")
            parts += [text[done:start], stands]
            done, at = end, at + length
            break
        else:
            at += 1
    return "".join([*parts, text[done:]]), tuple(dict.fromkeys(notes))


def _sorts(lemmas: Sequence[str], at: int, length: int) -> bool:
    """Whether a word says how to sort, and names nothing: *order by*, *in descending order*."""
    if length > 1 or lemmas[at] not in _SORTING:
        return False
    before = lemmas[at - 1] if at else ""
    after = lemmas[at + 1] if at + 1 < len(lemmas) else ""
    return after == "by" or before in _DIRECTIONS or (not at and "by" in lemmas)


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if re.search(r"[^aeiou]y$", word) else f"{word}s"
