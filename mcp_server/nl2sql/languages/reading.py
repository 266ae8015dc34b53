"""A question of any language in English, with what was taken for what, or why not."""

from collections.abc import Sequence
from dataclasses import dataclass

from mcp_server.nl2sql.errors import LexiconError
from mcp_server.nl2sql.languages.rewriting import Interpreter, Rewritten
from mcp_server.nl2sql.languages.telling import languages_of
from mcp_server.nl2sql.words.files import ENGLISH, lexicon


@dataclass(frozen=True, slots=True)
class InEnglish:
    """texts: the question in English, in the ways worth trying. notes: what was made of it.

    reason: why it is not read, and unknown: the words that are the reason.
    """

    texts: Sequence[str]
    notes: tuple[str, ...] = ()
    reason: str = ""
    unknown: tuple[str, ...] = ()


def in_english(
    texts: Sequence[str], interpreter: Interpreter, language: str | None = None
) -> InEnglish:
    """The question in English. language: its code, where that is known."""
    codes = [language] if language else languages_of(texts[-1])
    if list(codes) == [ENGLISH]:
        return InEnglish(texts)
    ways = {code: [interpreter.in_english(text, code) for text in texts] for code in codes}
    unknown = {code: _unknown(read) for code, read in ways.items()}
    whole = [code for code in codes if not unknown[code]]
    if len(codes) > 1 and len(whole) != 1:
        names = " or ".join(map(_name, codes))
        return InEnglish(texts, reason=f"the question may be in {names}: its words do not tell")
    if not whole:
        ((code, missed),) = unknown.items()
        words = ", ".join(map(repr, missed))
        reason = f"the question is read as {_name(code)}; not understood: {words}"
        return InEnglish(texts, reason=reason, unknown=missed)
    english = [each.text for each in ways[whole[0]]]
    return InEnglish(english, (f"{_name(whole[0])}, read as {english[-1]!r}",))


def _unknown(read: Sequence[Rewritten]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for each in read for word in each.unknown))


def require_known(language: str | None) -> None:
    """Raises LexiconError for a language that no file of the lexicon has."""
    known = (ENGLISH, *lexicon().languages)
    if language is not None and language not in known:
        raise LexiconError(
            f"the lexicon has no language {language!r}; those it has: {', '.join(sorted(known))}"
        )


def _name(code: str) -> str:
    return lexicon().languages[code].name or code
