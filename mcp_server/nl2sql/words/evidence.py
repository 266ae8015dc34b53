"""What the asker knows of the data, worked into the question: pure text in, pure text out.

Evidence is a list of short definitions, apart from each other by semicolons or lines:

    regulars refers to visits > 10; a large order means amount >= 500; region stands for city

The words on the left give way, where the question has them, to what they stand for; a definition
that the question does not need, or that is none, changes nothing. BIRD's evidence has this form
(Li et al., "Can LLM Already Serve as a Database Interface?", NeurIPS 2023). Abbreviations are
defined as well, among whatever else is said: `AOV (average order value) = the average amount of
orders`. A question may define its own words, in a sentence of its own or in brackets.
"""

import re
from collections.abc import Iterator

_ENDS = re.compile(r"\s*(?:;|\n|\.\s|\.$)\s*")
_MEANS = re.compile(
    r"^(?:an? |the )?(?P<words>.+?) (?:refers to|means|stands for|is defined as|are those with)"
    r" (?P<sense>.+)$",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"\b(?P<words>[A-Z][A-Za-z]{0,2}[A-Z]{1,4})(?: \([^()]+\))? "
    r"(?:=|is|means|stands for|:) "
    r"(?P<sense>[^;\n=]+?)"
    r"(?=\s*(?:[;\n=]|\.(?:\s|$)|$| (?:To|When|If|Always|For|Use|Note|Recall|Join|Truncate) ))"
)
"""An abbreviation and what it stands for, up to the next sentence, which need not be marked off."""
_FORMULA = re.compile(r"[/*+()]|\s-\s")
_AVERAGED = re.compile(
    r"^(?:the )?(?:total|sum of)(?: of)? (?P<of>[\w ]+?) / (?:the )?number of [\w ]+$", re.I
)
_LIMITED = re.compile(
    r",? (?:of|in|over|for|who|that|which|within|during|on|at|from|without|based|with|by)\b.*$",
    re.IGNORECASE,
)
"""What a definition says beside what is measured: of what, when, how."""
_OWN = re.compile(
    r"^(?:(?:please )?note that |where |here,? |assume(?: that)? )?(?:an? |the )?"
    r"(?P<words>[\w' -]+?) "
    r"(?:refers? to|means?|stands? for|is defined as|are defined as) (?:the )?(?P<sense>.+?)"
    r"(?: (?:in|of|from) the [\w ]+? table)?[.!]*$",
    re.IGNORECASE,
)
_DEFINE = re.compile(
    r"^(?:define|let's call|we call|call|by) (?:an? |the )?(?P<words>[\w' -]+?) "
    r"(?:as|we mean|i mean) (?:an? |the )?(?P<sense>.+?)[.!]*$",
    re.IGNORECASE,
)
_IS_A = re.compile(
    r"^an? (?P<words>[\w-]+(?: [\w-]+)?) is (?:an? |any )"
    r"(?P<sense>[\w-]+ (?:with|who|that|whose|which) .+?)[.!]*$",
    re.IGNORECASE,
)
_ASIDE = re.compile(
    r"(?P<words>\b(?:total )?[A-Za-z]+) \((?:based on|using|i\.e\.,?|that is,?|meaning|defined as) "
    r"(?:the )?(?P<sense>[^()]+)\)"
)
_SUM_OF = re.compile(r"^sum of (?:the |all )?", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.?!])\s+")
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
    question, own = _defined(question)
    texts = [question]
    for words, senses in (*own, *_definitions(evidence or "")):
        found = re.compile(rf"\b(?:{re.escape(words)})(?:e?s)?\b", re.IGNORECASE)
        if any(found.search(text) for text in texts):
            texts = [
                each for text in texts for sense in senses for each in _replaced(text, found, sense)
            ]
    return texts


def _defined(question: str) -> tuple[str, list[tuple[str, list[str]]]]:
    """The question without sentences that define a word of another one, and what those say."""
    found = []
    for match in _ASIDE.finditer(question):
        question = question.replace(match[0], match["words"])
        head = "total " if match["words"].lower().startswith("total ") else ""
        found.append((match["words"], [f"{head}{match['sense'].strip()}"]))
    sentences = _SENTENCE.split(question)
    for sentence in list(sentences) if len(sentences) > 1 else ():
        said = _OWN.match(sentence) or _DEFINE.match(sentence) or _IS_A.match(sentence)
        others = " ".join(each for each in sentences if each is not sentence)
        if said is not None and re.search(rf"\b{re.escape(said['words'])}", others, re.I):
            sentences.remove(sentence)
            found.append((said["words"].strip(), [said["sense"].strip()]))
    found = [(words, [_SUM_OF.sub("total ", each) for each in senses]) for words, senses in found]
    return " ".join(sentences), [pair for each in found for pair in _with_measure(*each)]


def _with_measure(words: str, senses: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Of a word that stands for a total: `total revenue` has that said already."""
    if re.match(r"(?:total|sum|average|number)\b", senses[0], re.IGNORECASE):
        yield f"total {words}", senses
    yield words, senses


def _definitions(evidence: str) -> Iterator[tuple[str, list[str]]]:
    """Words and what they may stand for, the longest words first."""
    found = [match for part in _ENDS.split(evidence) if (match := _MEANS.match(part.strip()))]
    pairs = [(match["words"].strip("\"' "), [match["sense"].strip()]) for match in found]
    pairs += [(match["words"], _of_short(match)) for match in _SHORT.finditer(evidence)]
    told = dict(reversed([pair for pair in pairs if pair[1]]))
    return iter(sorted(told.items(), key=lambda pair: -len(pair[0])))


def _of_short(match: re.Match[str]) -> list[str]:
    """What an abbreviation stands for: all that is said, and what is measured alone.

    A formula is none of it, unless it is that of an average.
    """
    sense = match["sense"].strip().rstrip(".")
    averaged = _AVERAGED.match(sense)
    if averaged is not None:
        return [f"average {averaged['of']}"]
    if _FORMULA.search(sense):
        return []
    return list(dict.fromkeys((_LIMITED.sub("", sense), sense)))


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
