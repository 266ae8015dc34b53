"""What the asker knows of the data, worked into the question: pure text in, pure text out.

Evidence is a list of short definitions, apart from each other by semicolons or lines:

    regulars refers to visits > 10; a large order means amount >= 500; region stands for city

The words on the left give way, where the question has them, to what they stand for; a definition
that the question does not need, or that is none, changes nothing. BIRD's evidence has this form
(Li et al., "Can LLM Already Serve as a Database Interface?", NeurIPS 2023).
"""

import re
from collections.abc import Iterator

_ENDS = re.compile(r"\s*(?:;|\n|\.\s|\.$)\s*")
_MEANS = re.compile(
    r"^(?:an? |the )?(?P<words>.+?) (?:refers to|means|stands for|is defined as|are those with)"
    r" (?P<sense>.+)$",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"^(?P<column>[\w.\" ]+?)\s*(?P<sign>>=|<=|<>|!=|=|>|<)\s*"
    r"(?P<value>'[^']*'|\"[^\"]*\"|[\w.-]+)$"
)
_SPOKEN = {
    "=": "is",
    "!=": "is not",
    "<>": "is not",
    ">": "is greater than",
    ">=": "is at least",
    "<": "is less than",
    "<=": "is at most",
}


def worked_in(question: str, evidence: str | None) -> list[str]:
    """The question in words of the database, in the ways that are worth trying.

    Only the question itself where no definition of the evidence is used by it.
    """
    texts = [question]
    for words, sense in _definitions(evidence or ""):
        found = re.compile(rf"\b(?:{re.escape(words)})(?:e?s)?\b", re.IGNORECASE)
        if any(found.search(text) for text in texts):
            texts = [each for text in texts for each in _replaced(text, found, sense)]
    return texts


def _definitions(evidence: str) -> Iterator[tuple[str, str]]:
    """Words and what they stand for, the longest words first."""
    found = [match for part in _ENDS.split(evidence) if (match := _MEANS.match(part.strip()))]
    pairs = [(match["words"].strip("\"' "), match["sense"].strip()) for match in found]
    return iter(sorted(pairs, key=lambda pair: -len(pair[0])))


def _replaced(text: str, found: re.Pattern[str], sense: str) -> Iterator[str]:
    condition = _CONDITION.match(sense)
    if condition is None:
        yield found.sub(_quoted(sense), text)
        return
    column = condition["column"].replace('"', "").split(".")[-1]
    spoken = f"{column} {_SPOKEN[condition['sign']]} {condition['value']}"
    before, after = found.split(text, maxsplit=1)
    body = re.sub(r"\s+", " ", f"{before} {after}").strip()
    end = body[-1] if body[-1:] in ("?", ".", "!") else ""
    # "how many regulars are there": the words may name the things too, so they also stay once.
    yield f"{body.removesuffix(end).rstrip()} whose {spoken}{end}"
    yield f"{text.removesuffix(end).rstrip()} whose {spoken}{end}"


def _quoted(sense: str) -> str:
    """A replacement in which nothing is a group reference."""
    return sense.replace("\\", r"\\")
