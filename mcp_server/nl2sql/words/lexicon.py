"""Words of general English that say something about a query, whatever the database is about."""

from collections.abc import Iterable

from mcp_server.nl2sql.words.related import RELATED

SYNONYMS: tuple[frozenset[str], ...] = tuple(
    frozenset(group.split())
    for group in (
        "film movie picture",
        "kid child",
        "salary pay wage income earning earn paid",
        "buy bought purchase",
        "cost price fee charge",
        "gender sex",
        "job occupation profession",
        "phone telephone cellphone mobile",
        "email mail",
        "customer client",
        "company firm business",
        "employee staff worker",
        "teacher instructor",
        "student pupil",
        "location place venue",
        "begin start",
        "end finish stop",
        "quantity amount number count",
        "description detail",
        "nationality citizenship country",
        "hometown home town place birthplace",
        "car vehicle auto",
        "maker manufacturer producer",
        "title name",
        "id identifier",
        "date day time",
        "rating rate score",
        "author writer",
        "kind type category",
        "population inhabitant person resident",
        "goods product item",
        "doctor physician",
        "lecture course class",
        "zip postcode postal",
        "last family sur surname",
        "first given fore forename",
        "percentage percent pct",
        "minimum min",
        "maximum max",
        "average avg mean",
        "number num no",
        "quantity qty",
        "department dept",
        "amount amt",
        "address addr",
        "code cd",
        "latitude lat",
        "longitude long lng",
        "abbreviation abbr",
        "country nation",
        "state province",
        "speak language",
        "enrol enroll enrolment enrollment",
        "colour color",
        "theatre theater",
        "organisation organization",
    )
)

PEOPLE = frozenset(
    "person people customer client employee staff worker manager teacher instructor student doctor "  # noqa: SIM905
    "patient author writer singer actor player athlete coach visitor guest owner user member "
    "candidate pilot driver director agent friend resident donor subscriber contact".split()
)

SPANS = ("day", "hour", "minute", "page")
"""What things are long in, besides length."""

BIRTH = frozenset({"birth", "born", "birthday", "birthdate", "dob"})

MADE = ("built", "founded", "formed", "opening", "established")
"""What says how old a thing is."""

SUPERLATIVES: dict[str, tuple[tuple[str, ...], bool]] = {
    # adjective: (what columns it may speak of, best first; whether the largest value is meant)
    "old": (("age",), True),
    "first": (("date", "year", "time", "start"), False),
    "last": (("date", "year", "time", "end"), True),
    "oldest": (("age", "birth", "born", *MADE, "year", "date"), True),
    "eldest": (("age", "birth"), True),
    "youngest": (("age", "birth", "born", *MADE), False),
    "newest": (("year", "date", *MADE), True),
    "tallest": (("height", "tall", "floor"), True),
    "shortest": (("height", "length", "duration", "distance", "time", *SPANS), False),
    "longest": (("length", "duration", "distance", "time", "long", "name", *SPANS), True),
    "heaviest": (("weight", "mass"), True),
    "lightest": (("weight", "mass"), False),
    "largest": (("size", "area", "population", "capacity", "amount", "quantity"), True),
    "biggest": (("size", "area", "population", "capacity", "amount", "quantity"), True),
    "smallest": (("size", "area", "population", "capacity", "amount", "quantity"), False),
    "cheapest": (("price", "cost", "fee", "rate"), False),
    "priciest": (("price", "cost", "fee"), True),
    "earliest": (("date", "year", "time", "start", "from"), False),
    "latest": (("date", "year", "time", "end"), True),
    "fastest": (("speed", "horsepower", "time", "acceleration"), True),
    "slowest": (("speed", "horsepower", "time"), False),
    "richest": (("money", "worth", "income", "salary", "earnings"), True),
    "poorest": (("money", "worth", "income", "salary", "gnp"), False),
    "deepest": (("depth",), True),
    "widest": (("width",), True),
    "strongest": (("power", "strength"), True),
    "highest": (("height", "altitude", "elevation", "score", "amount"), True),
    "lowest": (("height", "altitude", "elevation", "score", "amount"), False),
}

# Where things come from and where they go: words of a question, and of a column's name.
LEAVING = (
    frozenset("from leave depart departing leaving departed source origin start".split()),  # noqa: SIM905
    ("source", "src", "origin", "depart", "from", "start"),
)
ARRIVING = (
    frozenset("to into arrive arriving land landing arrived destination toward".split()),  # noqa: SIM905
    ("dest", "arriv", "target", "end"),
)

PHRASE_SUPERLATIVES: dict[str, tuple[tuple[str, ...], bool]] = {
    "most expensive": (("price", "cost", "fee", "charge", "rate", "amount"), True),
    "least expensive": (("price", "cost", "fee", "charge", "rate", "amount"), False),
    "most recent": (("date", "year", "time"), True),
    "most recently": (("date", "year", "time"), True),
    "least recent": (("date", "year", "time"), False),
    "most populous": (("population",), True),
    "least populous": (("population",), False),
    "most populated": (("population",), True),
    "best paid": (("salary", "wage", "income", "pay"), True),
    "highest paid": (("salary", "wage", "income", "pay"), True),
    "worst paid": (("salary", "wage", "income", "pay"), False),
    "lowest paid": (("salary", "wage", "income", "pay"), False),
}

PHRASE_COMPARATIVES: dict[str, tuple[tuple[str, ...], str]] = {
    "more expensive": (("price", "cost", "fee"), ">"),
    "less expensive": (("price", "cost", "fee"), "<"),
    "more recent": (("date", "year", "time"), ">"),
    "more populous": (("population",), ">"),
    "less populous": (("population",), "<"),
}

COMPARATIVES: dict[str, tuple[tuple[str, ...], str]] = {
    "older": (("age",), ">"),
    "younger": (("age",), "<"),
    "elder": (("age",), ">"),
    "taller": (("height",), ">"),
    "shorter": (("height", "length", "duration", *SPANS), "<"),
    "longer": (("length", "duration", "distance", "time", *SPANS), ">"),
    "heavier": (("weight",), ">"),
    "lighter": (("weight",), "<"),
    "larger": (("size", "area", "population", "capacity", "amount"), ">"),
    "bigger": (("size", "area", "population", "capacity", "amount"), ">"),
    "smaller": (("size", "area", "population", "capacity", "amount"), "<"),
    "cheaper": (("price", "cost"), "<"),
    "faster": (("speed", "horsepower"), ">"),
    "slower": (("speed", "horsepower"), "<"),
}

HOW = "how "
MEASURED: dict[str, tuple[str, ...]] = {
    # adjective behind `how`: what columns it may speak of, best first
    "long": ("length", "duration", *SPANS),
    "tall": ("height", "elevation", "altitude"),
    "high": ("height", "elevation", "altitude"),
    "big": ("size", "area", "population", "capacity"),
    "large": ("size", "area", "population", "capacity"),
    "heavy": ("weight", "mass"),
    "deep": ("depth",),
    "wide": ("width",),
    "fast": ("speed", "horsepower"),
    "expensive": ("price", "cost", "fee"),
    "costly": ("price", "cost", "fee"),
    "populous": ("population",),
    "far": ("distance",),
}

POLITE = frozenset(
    [
        "please",
        "can",
        "could",
        "you",
        "me",
        "tell",
        "show",
        "list",
        "find",
        "give",
        "return",
        "what",
        "which",
        "who",
        "whom",
        "whose",
        "where",
        "when",
        "be",
        "do",
        "get",
        "display",
        "select",
        "report",
        "state",
        "provide",
        "present",
        "compute",
        "calculate",
        "determine",
        "identify",
        "will",
        "would",
        "like",
        "to",
        "know",
        "see",
        "want",
        "i",
        "we",
        "need",
        "let",
        "us",
        "also",
        "retrieve",
        "name",
        "describe",
    ]
)

STOP = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "for",
        "in",
        "on",
        "at",
        "by",
        "to",
        "from",
        "with",
        "and",
        "or",
        "that",
        "which",
        "who",
        "whom",
        "whose",
        "be",
        "do",
        "have",
        "there",
        "their",
        "its",
        "it",
        "they",
        "them",
        "this",
        "these",
        "those",
        "as",
        "each",
        "every",
        "all",
        "any",
        "some",
        "is",
        "was",
        "been",
        "not",
        "no",
        "than",
        "into",
        "per",
        "during",
        "via",
        "about",
        "between",
        "out",
        "up",
        "also",
        "both",
        "either",
        "neither",
        "nor",
        "if",
        "so",
        "such",
        "how",
        "many",
        "much",
        "what",
        "when",
        "where",
        "why",
        "will",
        "would",
        "can",
        "could",
        "should",
        "may",
        "might",
        "must",
        "does",
        "did",
        "but",
        "same",
        "other",
        "only",
        "just",
        "more",
        "most",
        "less",
        "least",
        "very",
        "please",
        "show",
        "list",
        "find",
        "give",
        "return",
        "tell",
        "me",
        "us",
        "you",
        "i",
        "we",
        "record",
        "data",
        "information",
        "value",
        "different",
        "distinct",
        "unique",
        "various",
    ]
)

NOUNS_IN_STOP = frozenset(["record", "list", "data", "information", "value"])
"""Of these, those that may be the name of a table all the same."""

FILLER = frozenset(
    [
        "please",
        "exist",
        "existing",
        "available",
        "current",
        "currently",
        "given",
        "respective",
        "respectively",
        "corresponding",
        "together",
        "well",
        "overall",
        "entire",
        "whole",
        "ever",
        "record",
        "recorded",
        "listed",
        "database",
        "table",
        "information",
        "detail",
        "data",
    ]
)

NOISE_IN_TABLE_NAMES = frozenset(
    ["ref", "tbl", "tb", "t", "dim", "fact", "list", "data", "info", "table", "mst", "master"]
)

LIMITING = frozenset(
    "late later lately early overdue unpaid weekend weekday workday holiday "  # noqa: SIM905
    "morning afternoon evening night midnight noon daytime winter spring summer autumn "
    "big small large little huge tiny cheap expensive costly pricey high low long short tall wide "
    "deep old young new recent recently modern ancient heavy light fast slow quick rich poor busy "
    "popular rare frequent frequently seldom often rarely regularly always usually "
    "major minor main important big good bad strong weak urgent critical idle active inactive "
    "surrounding neighbouring neighboring bordering adjacent nearby "
    "second third fourth fifth next previous former consecutive successive simultaneous duplicate "
    "repeat again half double triple twice "
    "median mode variance deviation percentile quartile quantile correlation cumulative running "
    "rolling moving growth increase decrease change trend rate ratio difference gap versus vs "
    "compared times multiplied divided minus plus sum product exceed how why "
    "* / + < > ! ^ ~ | @ percent".split()
)
"""Words that say which rows, or what to compute: a query that does nothing with one is another."""

IDLE = frozenset(
    "full whole entire complete overall single individual actual exact own real total general "  # noqa: SIM905
    "database table system company world list record dataset data file detail order addition case "
    "question answer registered recorded listed stored known named called existing available given "
    "following mentioned different various several possible particular specific respective "
    "currently year month day date alphabetical involved used spoken held made offered played "
    "taken owned born located".split()
)
"""Words that limit nothing where they stand."""

RELATING = frozenset(
    "run runs running flow flows flowing go goes going pass passes passing cross crosses crossing "  # noqa: SIM905
    "traverse traverses traversed lie lies lying sit sits stand stands stay stays staying reside "
    "resides residing come comes coming located situated found based housed feature features "
    "featured serve serves serving offer offers offering provide provides provided contain "
    "contains containing belong belongs belonging affiliated associated attached assigned linked "
    "enrolled registered attend attends attended attending appear appears appeared appearing "
    "perform performs performed performing participate participates participating take takes "
    "taking teach teaches taught publish published presented presenting written wrote write writes "
    "play plays playing use uses using made make makes produce produces produced "
    "live lives lived living connected assigned employ employs employed held hold holds".split()
)
"""Verbs that say no more of two things than that they belong together."""

SEXES: dict[str, tuple[tuple[str, ...]]] = {
    "female": (("f", "woman"),),
    "male": (("m", "man"),),
    "woman": (("f", "female"),),
    "man": (("m", "male"),),
    "girl": (("f", "female"),),
    "boy": (("m", "male"),),
}
"""How else columns say it."""

EVERYDAY = frozenset(word for group in (*SYNONYMS, *RELATED) for word in group)
"""Words that are no misspelling of a name, however like it they look."""


def synonyms(word: str) -> frozenset[str]:
    """Every word that may stand for this one, itself included."""
    return _of(word, SYNONYMS)


def related(word: str) -> frozenset[str]:
    """Every word that may now and then stand for this one, itself included."""
    return _of(word, RELATED)


def _of(word: str, groups: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset({word}.union(*(group for group in groups if word in group)))
