"""How long things last, in the words of what their dates imply.

*Trips that took over two hours* are *trips with duration hours more than 2*, and *how long did each
take* asks for *duration of each*: names that `schema/derived.py` gives to the time between two
dates. Where a column of the table says by itself how long it takes, nothing is put differently.
"""

import re
from collections.abc import Sequence

from mcp_server.nl2sql.schema.derived import LASTING, UNITS
from mcp_server.nl2sql.schema.model import Column, Profile, Table
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS, stem, tokenize

AUXILIARY = r"did|does|do|was|were|is|are|has|have"
_UNIT = "|".join(UNITS)
_COUNT = rf"\d+(?:\.\d+)?|half an?|an?|{'|'.join(NUMBER_WORDS)}"
OPERATORS = {
    "longer than": "more than", "shorter than": "less than", "over": "more than",
    "under": "less than", "fewer than": "less than", "for over": "more than",
}  # fmt: skip
_BOUND = (
    r"more than|longer than|over|at least|no less than|less than|shorter than|under|fewer than"
    r"|at most|up to|no more than|not more than|exactly"
)
_VERB = (
    r"last(?:ed|s|ing)?|take(?:s|n)?|took|taking|stay(?:ed|s|ing)?|spent|ran|run(?:s|ning)?|lived?"
    r"|go(?:es)? on|went on"
)
_HOW_LONG = re.compile(
    rf"\bhow (?:long|much time)(?P<usual> on average)? (?:{AUXILIARY}) (?P<article>the |each "
    rf"|every |an? |all )?(?P<mean>average |mean |typical )?(?P<rows>.+?)"
    rf"(?: (?:{_VERB}|open|closed))?(?: for)?(?P<usual2>,? on average|,? usually|,? typically)?"
    rf"(?:,? in (?P<unit>{_UNIT})s)?(?P<usual3>,? on average)?[?.]*$",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(
    rf"\bhow many (?P<unit>{_UNIT})s (?:{AUXILIARY}) (?P<each>each|every) (?P<rows>.+?)"
    rf" (?:{_VERB}|open|closed)[?.]*$",
    re.IGNORECASE,
)
_MEASURED = re.compile(
    rf"\b(?:(?:length of stay|length of time|duration|length|time taken|time spent))"
    rf"(?P<of>(?:,? (?:of|by|for|per) [^,?.]+?)?),? in (?P<unit>{_UNIT})s\b",
    re.IGNORECASE,
)
_TIME_OF_ROWS = re.compile(r"\b(?P<rows>[a-z]+) (?:time|duration)\b", re.IGNORECASE)
_TOOK_LONGEST = re.compile(
    rf"\b(?:(?:that|which|who) )?(?:{_VERB}|was open|were open) (?:for )?the "
    r"(?P<how>longest|shortest)(?: time)?\b",
    re.IGNORECASE,
)
_WITHIN = re.compile(
    rf"\b(?:(?:that|which|who) )?(?:(?:{AUXILIARY}) )?(?P<done>[a-z]+) within (?P<n>{_COUNT})"
    rf" (?P<unit>{_UNIT})s? of (?:being )?(?P<begun>[a-z]+)\b",
    re.IGNORECASE,
)
_LENGTH_OF_STAY = re.compile(r"\blength of (?:the |their )?(?:stay|time)\b", re.IGNORECASE)
_LASTING = re.compile(
    rf"(?:\b(?:that|which|who) )?(?:\b(?:have|has|had|were|was|are) )?"
    rf"(?:\b(?P<verb>{_VERB}|open) (?:for )?(?:open )?|\b(?:with a |of )?(?P<bare>))"
    rf"\b(?P<bound>{_BOUND}) (?P<n>{_COUNT}) (?P<unit>{_UNIT})s?"
    r"(?P<long> long| in length| in duration)?(?: to (?P<done>[a-z]+))?\b(?! (?:ago|old|of age))",
    re.IGNORECASE,
)
_LONGEST = re.compile(
    r"\b(?:the )?(?P<how>longest|shortest)(?:[ -](?:lasting|running))? (?P<rows>[\w-]+)\b",
    re.IGNORECASE,
)
_OLD_AT_DEATH = re.compile(
    r"\bhow old (?:was|were) (?P<rows>.+?) when (?:they|he|she|it) died\b", re.IGNORECASE
)
_DAYS_BETWEEN = re.compile(
    rf"\b(?P<mean>average|mean|median|maximum|minimum) number of (?P<unit>{_UNIT})s "
    r"(?=between|from)",
    re.IGNORECASE,
)


def with_durations(question: str, profile: Profile) -> str:
    """The question with how long things last as names of what the dates of the schema imply."""
    text = _DAYS_BETWEEN.sub(lambda m: f"{m['mean']} {m['unit']}s ", question)
    said = {stem(token.lemma) for token in tokenize(text)}
    durations = _durations(profile, [table for table in profile.tables if _named(table, said)])
    return _lasting(text, durations) if durations else text


def _durations(profile: Profile, spoken_of: Sequence[Table]) -> list[Column]:
    """How long rows of the tables last that are spoken of, or those of the one beside them."""
    found = [
        column
        for column in profile.derived
        if column.name == "duration" and not _measured(column.table)
    ]
    own = [column for column in found if column.table in spoken_of]
    if own or any(_measured(table) for table in spoken_of):
        return own
    beside = {key.column.table for key in profile.foreign_keys if key.target.table in spoken_of}
    near = [column for column in found if column.table in beside]
    return near if len({column.table for column in near}) == 1 else []


def _named(table: Table, said: set[str]) -> bool:
    return bool(table.words) and stem(table.words[-1]) in said


def _measured(table: Table) -> bool:
    """Whether a column of a table says by itself how long something takes."""
    words = {*LASTING, *UNITS, *(f"{unit}s" for unit in UNITS)}
    return any(
        column.counts and not column.year_like and words & set(column.words)
        for column in table.columns
    )


def _lasting(text: str, durations: Sequence[Column]) -> str:
    """The text with what is said of these durations."""
    units = {column.made.unit for column in durations if column.made is not None}
    made = [column.made.of for column in durations if column.made is not None]
    pairs = {(stem(start.words[0]), stem(end.words[0])) for start, end in made}
    ends = {end for _, end in pairs}
    tables = {stem(column.table.words[-1]) for column in durations}

    def how_long(match: re.Match[str]) -> str:
        unit = match["unit"]
        if unit and unit.lower() not in units:
            return match[0]
        average = match["mean"] or match["usual"] or match["usual2"] or match["usual3"]
        each = (match["article"] or "").strip().lower() in ("each", "every")
        measure = "average duration" if average else "duration"
        of = f"each {match['rows']}" if each else match["rows"]
        return f"{measure}{f' {unit}s' if unit else ''} of {of}"

    def how_many(match: re.Match[str]) -> str:
        if match["unit"].lower() not in units:
            return match[0]
        return f"duration {match['unit']}s of {match['each']} {match['rows']}"

    def measured(match: re.Match[str]) -> str:
        if match["unit"].lower() not in units:
            return match[0]
        return f"duration {match['unit']}s{match['of']}"

    def lasting(match: re.Match[str]) -> str:
        bound, unit = match["bound"].lower(), match["unit"].lower()
        said = match["verb"] or match["long"] or bound in ("longer than", "shorter than")
        number = _number(match["n"].lower())
        if not said or number is None:
            return match[0]
        if unit not in units and unit == "week" and "day" in units:
            unit, number = "day", 7 * number
        if unit not in units:
            return match[0]
        until = match["done"] or ""
        if until and stem(until.lower()) not in ends:
            return match[0]
        named = f"{until} duration".strip()
        return f" with {named} {unit}s {OPERATORS.get(bound, bound)} {number:g}"

    def within(match: re.Match[str]) -> str:
        number, unit = _number(match["n"].lower()), match["unit"].lower()
        pair = stem(match["begun"].lower()), stem(match["done"].lower())
        if pair not in pairs or number is None or unit not in units:
            return match[0]
        return f"with {match['done']} duration {unit}s at most {number:g}"

    def of_rows(match: re.Match[str]) -> str:
        own = stem(match["rows"].lower()) in tables
        return "duration" if own else match[0]

    def longest(match: re.Match[str]) -> str:
        if not tables & {stem(token.lemma) for token in tokenize(match["rows"])}:
            return match[0]
        end = "highest" if match["how"].lower() == "longest" else "lowest"
        return f"{match['rows']} with the {end} duration"

    if "year" in units:
        text = _OLD_AT_DEATH.sub(lambda m: f"duration years of {m['rows']}", text)
    text = _HOW_MANY.sub(how_many, _HOW_LONG.sub(how_long, text))
    text = _TIME_OF_ROWS.sub(of_rows, text)
    text = _LENGTH_OF_STAY.sub("duration", _MEASURED.sub(measured, text))
    text = _LONGEST.sub(longest, _LASTING.sub(lasting, _WITHIN.sub(within, text)))
    text = _TOOK_LONGEST.sub(
        lambda m: f"with the {'highest' if m['how'].lower() == 'longest' else 'lowest'} duration",
        text,
    )
    return " ".join(text.split())


def _number(said: str) -> float | None:
    if said.startswith("half"):
        return 0.5
    if said in ("a", "an"):
        return 1
    return NUMBER_WORDS[said] if said in NUMBER_WORDS else float(said)
