"""Times of the day and the week, and how long things last, in the words of what dates imply.

*On Mondays* is *whose weekday is 1*, and *trips that took over two hours* are *trips with duration
hours more than 2*: names that `schema/derived.py` gives to computed columns. Nothing is put
differently that the schema has a name or a value for, or that no column of its dates says.
"""

import re
from collections.abc import Sequence
from functools import partial

from mcp_server.nl2sql.schema.derived import LASTING, UNITS
from mcp_server.nl2sql.schema.model import Column, Kind, Profile, Table
from mcp_server.nl2sql.words.spans import DAYS, MONTH, number_of
from mcp_server.nl2sql.words.tokens import NUMBER_WORDS, normal_text, stem, tokenize

_DAY = "|".join(DAYS)
_UNIT = "|".join(UNITS)
_COUNT = rf"\d+(?:\.\d+)?|half an?|an?|{'|'.join(NUMBER_WORDS)}"
SEASONS = {
    "spring": "between 3 and 5", "summer": "between 6 and 8", "autumn": "between 9 and 11",
    "fall": "between 9 and 11", "winter": "12 or 1 or 2",
}  # fmt: skip
HOURS = {
    "in the morning": "between 6 and 11", "in the mornings": "between 6 and 11",
    "in the afternoon": "between 12 and 17", "in the afternoons": "between 12 and 17",
    "in the evening": "between 18 and 21", "in the evenings": "between 18 and 21",
    "at night": "at least 22 or below 6", "during the night": "at least 22 or below 6",
    "before noon": "below 12", "before midday": "below 12", "after noon": "at least 12",
    "after midday": "at least 12",
}  # fmt: skip
UNITS_SHORT = {"day of the week": "weekday", "hour of the day": "hour"}
AT_LEAST, BELOW = ("after", "since", "from", "at or after"), ("before", "until", "till", "by")
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
_AUXILIARY = r"did|does|do|was|were|is|are|has|have"
_CLOCK = re.compile(
    rf"\b(?:(?P<bound>{'|'.join((*AT_LEAST, *BELOW))}) )(?P<hour>\d{{1,2}})(?::00)?"
    r" ?(?:(?P<half>[ap])\.?m\b\.?|o'?clock\b|:00\b)",
    re.IGNORECASE,
)
_BETWEEN_CLOCKS = re.compile(
    r"\b(?:between|from) (?P<h1>\d{1,2}) ?(?P<half1>[ap])?\.?m?\.? (?:and|to) "
    r"(?P<h2>\d{1,2}) ?(?P<half2>[ap])\.?m\b\.?",
    re.IGNORECASE,
)
_TIME_OF_DAY = re.compile(rf"\b(?:{'|'.join(sorted(HOURS, key=len, reverse=True))})\b", re.I)
_WEEKDAYS = re.compile(
    rf"\bon (?:(?P<article>an? |any |every )?)(?P<days>(?:{_DAY})s?"
    rf"(?:(?:, | and | or |, and |, or )(?:an? )?(?:{_DAY})s?)*)\b",
    re.IGNORECASE,
)
_WORKDAYS = re.compile(r"\bon (?:(?:a|any) )?(?:week|work|working )days?\b", re.IGNORECASE)
_MONTHS = re.compile(
    rf"\b(?:in|during)(?: the months?(?: of)?)? (?P<months>(?:{MONTH})"
    rf"(?:(?:, | and | or |, and |, or )(?:{MONTH}))*)\b(?! \d)(?!-)",
    re.IGNORECASE,
)
_SEASON = re.compile(
    rf"\b(?:in|during) (?:the )?(?P<season>{'|'.join(SEASONS)})s?\b(?! (?:of )?\d)", re.IGNORECASE
)
_BUSIEST = re.compile(
    r"^(?:(?:what|which)(?: is| was)? )?(?:the )?(?P<how>busiest|quietest|slowest)"
    r" (?P<unit>month|day of the week|weekday|week|day|hour of the day|hour|quarter|year)"
    r"(?: (?:for|of|by|in|in terms of|with) (?:the )?(?:number of )?(?P<rows>.+?))?[?.]*$",
    re.IGNORECASE,
)
_MOST_ON = re.compile(
    r"^(?:on|in|at|during) (?:which|what) (?P<unit>weekday|day of the week|hour of the day|hour"
    r"|month|quarter|year|decade|week)"
    rf" (?:(?:{_AUXILIARY}) )?(?:there )?(?:the )?(?P<most>most|fewest|least) (?P<rows>.+?)[?.]*$",
    re.IGNORECASE,
)
_OF_EACH = re.compile(
    r"\b(?P<each>each|every) (?P<owner>[\w-]+)(?:'s|s') (?P<which>very first|first|last|latest"
    r"|earliest|most recent|newest|oldest) (?P<rows>[\w-]+)\b",
    re.IGNORECASE,
)
_HOW_LONG = re.compile(
    rf"\bhow (?:long|much time)(?P<usual> on average)? (?:{_AUXILIARY}) (?P<article>the |each "
    rf"|every |an? |all )?(?P<mean>average |mean |typical )?(?P<rows>.+?)"
    rf"(?: (?:{_VERB}|open|closed))?(?: for)?(?P<usual2>,? on average|,? usually|,? typically)?"
    rf"(?:,? in (?P<unit>{_UNIT})s)?(?P<usual3>,? on average)?[?.]*$",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(
    rf"\bhow many (?P<unit>{_UNIT})s (?:{_AUXILIARY}) (?P<each>each|every) (?P<rows>.+?)"
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
    rf"\b(?:(?:that|which|who) )?(?:{_VERB}|was open|were open) (?:for )?the (?P<how>longest|shortest)"
    r"(?: time)?\b",
    re.IGNORECASE,
)
_WITHIN = re.compile(
    rf"\b(?:(?:that|which|who) )?(?:(?:{_AUXILIARY}) )?(?P<done>[a-z]+) within (?P<n>{_COUNT})"
    rf" (?P<unit>{_UNIT})s? of (?:being )?(?P<begun>[a-z]+)\b",
    re.IGNORECASE,
)
_PER_PART = re.compile(
    r"\b(?P<verb>[a-z]+) (?P<per>per|by|for each|each) (?P<part>weekday|day of the week"
    r"|hour of the day|hour)\b",
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
_AGED = re.compile(
    r"(?:\b(?:that|who|which) (?:are|were) |\baged )?\b(?P<bound>under|below|over|above|at least|at most"
    r"|less than|more than|up to) (?P<n>\d+)(?P<old> years? (?:old|of age))\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    rf"\b(?:(?:that|which|who) )?(?:(?:{_AUXILIARY}) )?(?P<verb>[a-z]+) "
    r"whose (?P<part>weekday|hour|month of year) is\b",
    re.IGNORECASE,
)
_OLD_AT_DEATH = re.compile(
    r"\bhow old (?:was|were) (?P<rows>.+?) when (?:they|he|she|it) died\b", re.IGNORECASE
)
_FIRST_DONE = re.compile(
    r"\b(?P<which>first|last|latest|earliest|newest|oldest|most recent) (?P<rows>[\w-]+) "
    r"(?P<verb>[a-z]+ed)\b",
    re.IGNORECASE,
)
_DAYS_BETWEEN = re.compile(
    rf"\b(?P<mean>average|mean|median|maximum|minimum|longest|shortest) number of (?P<unit>{_UNIT})s "
    r"(?=between|from)",
    re.IGNORECASE,
)


def with_moments(question: str, profile: Profile) -> str:
    """The question with times and durations as names of what the dates of the schema imply."""
    if not profile.derived:
        return question
    text = _OF_EACH.sub(
        lambda m: f"the {m['which']} {m['rows']} of {m['each']} {m['owner']}", question
    )
    said = {stem(token.lemma) for token in tokenize(text)}
    hows = {column.made.how for column in profile.derived if column.made is not None}
    happens = [c for c in profile.columns if c.kind is Kind.DATE or c.base == "time"]
    verbs = {stem(column.words[0]) for column in happens if column.words}
    text = _FIRST_DONE.sub(
        lambda m: (
            f"{m['which']} {m['verb']} {m['rows']}" if stem(m["verb"].lower()) in verbs else m[0]
        ),
        text,
    )
    text = _PER_PART.sub(
        lambda m: (
            f"{m['per']} {m['verb']} {UNITS_SHORT.get(m['part'].lower(), m['part'])}"
            if stem(m["verb"].lower()) in verbs
            else m[0]
        ),
        text,
    )
    if "weekday" in hows:
        text = _by_days(text, profile, verbs)
    if "hour" in hows:
        text = _by_hours(text, profile)
    text = _DONE.sub(partial(_of_verb, verbs), text)
    if "age" in hows:
        text = _AGED.sub(lambda m: f"whose age is {m['bound']} {m['n']}", text)
    text = _DAYS_BETWEEN.sub(lambda m: f"{m['mean']} {m['unit']}s ", text)
    lasting = _durations(profile, [table for table in profile.tables if _named(table, said)])
    return _lasting(text, lasting) if lasting else text


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


def _of_verb(verbs: set[str], match: re.Match[str]) -> str:
    """`That opened whose hour is` is about the hour of that."""
    if stem(match["verb"].lower()) not in verbs:
        return match[0]
    return f"whose {match['verb']} {match['part']} is"


def _by_days(text: str, profile: Profile, verbs: set[str]) -> str:
    def days(match: re.Match[str]) -> str:
        names = re.findall(rf"{_DAY}", match["days"].lower())
        plural = match["days"].lower().endswith("s") or match["article"]
        if not plural or _held(profile, *names):
            return match[0]  # `on Monday` is the one before, or the one that comes
        return f"whose weekday is {' or '.join(str(DAYS.index(name) + 1) for name in names)}"

    def months(match: re.Match[str]) -> str:
        names = re.findall(MONTH, match["months"].lower())
        if _held(profile, *names):
            return match[0]
        return f"whose month of year is {' or '.join(str(number_of(name)) for name in names)}"

    def season(match: re.Match[str]) -> str:
        name = match["season"].lower()
        return match[0] if _held(profile, name) else f"whose month of year is {SEASONS[name]}"

    def busiest(match: re.Match[str]) -> str:
        most = "most" if match["how"].lower() == "busiest" else "fewest"
        if _held(profile, match["how"]) or not match["rows"]:
            return match[0]
        return _with_most(match["unit"], most, match["rows"], verbs)

    def most_on(match: re.Match[str]) -> str:
        return _with_most(match["unit"], match["most"], match["rows"], verbs)

    text = _WEEKDAYS.sub(days, text)
    if not _held(profile, "weekday", "workday"):
        text = _WORKDAYS.sub("whose weekday is at most 5", text)
    text = _SEASON.sub(season, _MONTHS.sub(months, text))
    return _MOST_ON.sub(most_on, _BUSIEST.sub(busiest, text))


def _with_most(unit: str, most: str, rows: str, verbs: set[str]) -> str:
    """`Which ordered month has the most consignments`, of the most that were ordered."""
    unit = UNITS_SHORT.get(unit.lower(), unit)
    *first, last = rows.split()
    if first and stem(last.lower()) in verbs:
        return f"which {last} {unit} has the {most} {' '.join(first)}"
    return f"which {unit} has the {most} {rows}"


def _by_hours(text: str, profile: Profile) -> str:
    def clock(match: re.Match[str]) -> str:
        hour = _of_day(int(match["hour"]), match["half"])
        if hour is None:
            return match[0]
        least = match["bound"].lower() in AT_LEAST
        return f"whose hour is {'at least' if least else 'below'} {hour}"

    def between(match: re.Match[str]) -> str:
        first = _of_day(int(match["h1"]), match["half1"] or match["half2"])
        last = _of_day(int(match["h2"]), match["half2"])
        if first is None or last is None or last <= first:
            return match[0]
        return f"whose hour is between {first} and {last - 1}"

    def time(match: re.Match[str]) -> str:
        said = match[0].lower()
        if _held(profile, said.split()[-1]):
            return match[0]
        return f"whose hour is {HOURS[said]}"

    return _TIME_OF_DAY.sub(time, _CLOCK.sub(clock, _BETWEEN_CLOCKS.sub(between, text)))


def _of_day(hour: int, half: str | None) -> int | None:
    """The hour of 24 that one of 12 is. half: `a` or `p`."""
    if half is None:
        return hour if hour < 24 else None
    if not 1 <= hour <= 12:
        return None
    return hour % 12 + 12 * (half.lower() == "p")


def _held(profile: Profile, *words: str) -> bool:
    """Whether a word is a value, or the name of a column or a table."""
    return any(
        normal_text(word) in profile.value_index
        or any(normal_text(word) in column.words for column in profile.columns)
        for word in words
    )


def _lasting(text: str, durations: Sequence[Column]) -> str:
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
