"""Times of the day, the week and the year, in the words of what dates imply.

*On Mondays* is *whose weekday is 1*, a name that `schema/derived.py` gives to a computed column.
Nothing is put differently that the schema has a name or a value for, or no column of dates says.
"""

import re
from functools import partial

from mcp_server.nl2sql.linking.lasting import AUXILIARY, with_durations
from mcp_server.nl2sql.linking.ongoing import with_ongoing
from mcp_server.nl2sql.schema.model import Kind, Profile
from mcp_server.nl2sql.words.spans import DAYS, MONTH, UNITS, number_of
from mcp_server.nl2sql.words.tokens import normal_text, stem

_DAY = "|".join(DAYS)
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
PERIODICAL = [word for word, unit in UNITS.items() if word != unit]
AT_LEAST, BELOW = ("after", "since", "from", "at or after"), ("before", "until", "till", "by")
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
    rf" (?:(?:{AUXILIARY}) )?(?:there )?(?:the )?(?P<most>most|fewest|least) (?P<rows>.+?)[?.]*$",
    re.IGNORECASE,
)
_OF_EACH = re.compile(
    r"\b(?P<each>each|every) (?P<owner>[\w-]+)(?:'s|s') (?P<which>very first|first|last|latest"
    r"|earliest|most recent|newest|oldest) (?P<rows>[\w-]+)\b",
    re.IGNORECASE,
)
_PERIODICAL = re.compile(
    rf"\b(?:(?P<unit>{'|'.join(PERIODICAL)}) (?P<measure>average|total|sum|number|count)"
    rf"|(?P<measure2>total|number of|count of) (?P<unit2>{'|'.join(PERIODICAL)}))\b",
    re.IGNORECASE,
)
_PER_PART = re.compile(
    r"\b(?P<verb>[a-z]+) (?P<per>per|by|for each|each) (?P<part>weekday|day of the week"
    r"|hour of the day|hour)\b",
    re.IGNORECASE,
)
_AGED = re.compile(
    r"(?:\b(?:that|who|which) (?:are|were) |\baged )?\b(?P<bound>under|below|over|above|at least"
    r"|at most|less than|more than|up to) (?P<n>\d+)(?P<old> years? (?:old|of age))\b",
    re.IGNORECASE,
)
_DONE = re.compile(
    rf"\b(?:(?:that|which|who) )?(?:(?:{AUXILIARY}) )?(?P<verb>[a-z]+) "
    r"whose (?P<part>weekday|hour|month of year) is\b",
    re.IGNORECASE,
)
_FIRST_DONE = re.compile(
    r"\b(?P<which>first|last|latest|earliest|newest|oldest|most recent) (?P<rows>[\w-]+) "
    r"(?P<verb>[a-z]+ed)\b",
    re.IGNORECASE,
)


_OFTEN_AS = {
    "hour": ("hourly",), "day": ("daily",), "night": ("nightly",), "week": ("weekly",),
    "month": ("monthly",), "year": ("yearly", "annual"),
}  # fmt: skip
"""How columns call what is paid for each unit of time."""
_EACH_OF = r"(?P<unit>hour|day|night|week|month|year)\b"
_MORE_PER = re.compile(
    r"\b(?P<verb>costs?|charges?|earns?|pays?|makes?|gets?) (?P<more>more|less)"
    rf"(?P<than> than \d[\d.,]*)? (?:per|an|a|each|every) {_EACH_OF}",
    re.IGNORECASE,
)
_DEAREST_PER = re.compile(
    r"\b(?P<most>cheapest|dearest|priciest|most expensive|least expensive) (?P<rows>[\w ]+?)"
    rf" (?:per|an|by the) {_EACH_OF}",
    re.IGNORECASE,
)
_LEAST = frozenset({"cheapest", "least expensive"})


def with_rates(text: str, profile: Profile) -> str:
    """`Cost more per hour`, where a column says how much an hour is: of the hourly cost."""

    def rate(unit: str) -> str:
        named = {
            " ".join(column.words)
            for column in profile.columns
            if column.adds_up and set(column.words) & set(_OFTEN_AS[unit.lower()])
        }
        return named.pop() if len(named) == 1 else ""

    def more(match: re.Match[str]) -> str:
        name = rate(match["unit"])
        return f"have a {name} {match['more']}{match['than'] or ''}" if name else match[0]

    def dearest(match: re.Match[str]) -> str:
        name = rate(match["unit"])
        end = "lowest" if match["most"].lower() in _LEAST else "highest"
        return f"{match['rows']} with the {end} {name}" if name else match[0]

    return _DEAREST_PER.sub(dearest, _MORE_PER.sub(more, text))


def with_moments(question: str, profile: Profile) -> str:
    """The question with times and durations as names of what the dates of the schema imply."""
    if not profile.derived:
        return question
    text = _OF_EACH.sub(
        lambda m: f"the {m['which']} {m['rows']} of {m['each']} {m['owner']}", question
    )
    hows = {column.made.how for column in profile.derived if column.made is not None}
    happens = [c for c in profile.columns if c.kind is Kind.DATE or c.base == "time"]
    verbs = {stem(column.words[0]) for column in happens if column.words}
    text = _FIRST_DONE.sub(
        lambda m: (
            f"{m['which']} {m['verb']} {m['rows']}" if stem(m["verb"].lower()) in verbs else m[0]
        ),
        text,
    )
    text = _periodical(text, profile)
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
    return with_durations(with_ongoing(text, profile), profile)


def _periodical(text: str, profile: Profile) -> str:
    """`The monthly average price` is for each month the average price."""
    match = _PERIODICAL.search(text)
    said = (match["unit"] or match["unit2"]).lower() if match is not None else ""
    if match is None or _held(profile, said) or any(said in t.words for t in profile.tables):
        return text
    measure = match["measure"] or match["measure2"]
    rest = f"{text[: match.start()]}{measure}{text[match.end() :]}"
    return f"for each {UNITS[said]}, {rest}"


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
    said = {normal_text(word) for word in words}
    return any(word in profile.value_index for word in said) or any(
        not said.isdisjoint(column.words) for column in profile.columns
    )
