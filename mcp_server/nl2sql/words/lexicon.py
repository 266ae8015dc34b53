"""Words of general English that say something about a query, whatever the database is about."""

from collections.abc import Iterable

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

RELATED: tuple[frozenset[str], ...] = tuple(
    frozenset(group.split())
    for group in (
        # people and what they are to each other
        "kid child youngster", "gender sex", "job occupation profession position role",
        "customer client buyer shopper consumer patron", "employee staff worker personnel",
        "manager boss supervisor", "teacher instructor professor lecturer tutor",
        "student pupil learner", "doctor physician medic", "author writer novelist",
        "singer vocalist musician", "actor performer", "player athlete sportsman competitor",
        "coach trainer", "visitor guest tourist", "owner proprietor possessor",
        "user member subscriber", "candidate nominee contender", "leader head chief president",
        "pilot aviator", "director filmmaker", "spouse wife husband partner", "friend buddy",
        "inhabitant resident person citizen population", "donor donator contributor",
        # what they are called and where they live
        "title name", "last family sur surname", "first given fore forename",
        "id identifier identification", "phone telephone cellphone mobile cell",
        "email mail", "zip postcode postal", "address addr residence",
        "nationality citizenship country", "hometown home town place birthplace origin",
        "birthday birth dob born birthdate", "language speak tongue", "religion faith",
        "country nation", "state province", "city town municipality",
        "location place venue site position", "area region zone district territory county",
        "street road avenue", "apartment flat unit", "house home",
        # organisations
        "company firm business corporation enterprise", "shop store outlet retailer",
        "department dept division section", "school college university", "team club squad side",
        "organisation organization institution", "hospital clinic", "bank branch", "band group",
        "airline carrier airways", "hotel inn lodge", "theatre theater", "museum gallery",
        "stadium arena venue",
        # things
        "film movie picture", "song track tune", "album record", "book novel volume publication",
        "magazine journal periodical", "paper article publication",
        "photo picture image photograph",
        "car vehicle auto automobile", "plane aircraft airplane aeroplane", "ship vessel boat",
        "dog puppy canine", "pet animal", "goods product item merchandise article commodity",
        "device gadget machine equipment", "software program application app",
        "document file", "ticket pass", "weapon gun arm", "fuel gas petrol",
        # what happens
        "buy bought purchase order acquire", "begin start commence", "end finish stop conclude",
        "enrol enroll enrolment enrollment register registration", "event occasion happening",
        "match game", "competition contest tournament championship", "battle war fight combat",
        "flight trip journey", "booking reservation reserve book", "lecture course class lesson",
        "subject course", "exam test examination", "election vote poll", "review comment feedback",
        "problem issue bug fault", "treatment therapy", "visit attend", "build construct built",
        "found establish create founded established founding", "hire employ recruit",
        "join joined", "leave left",
        "loan borrow borrowed lend lent", "rent rented rental", "sell sold sale",
        "release publish publication issue",
        # measures
        "salary pay wage income earning", "cost price fee charge expense", "budget fund funding",
        "revenue sales turnover", "profit gain earning", "payment pay", "money cash amount",
        "quantity amount number count qty", "amount amt", "number num no nbr",
        "size capacity space",
        "height tall stature", "weight mass heavy", "length long duration", "age old",
        "speed velocity fast", "area surface size", "distance length", "date day time",
        "rating rate score", "score point mark grade", "rank place position standing",
        "percentage percent pct", "minimum min", "maximum max",
        "average avg mean", "latitude lat", "longitude long lng", "temperature temp",
        # kinds of descriptions
        "kind type category genre sort class", "status state condition",
        "description detail desc explanation", "code cd", "abbreviation abbr acronym",
        "colour color", "maker manufacturer producer brand", "website site url web homepage",
        "major discipline field specialty", "degree diploma", "floor story level storey",
        "level grade", "share portion", "result outcome", "version release edition",
    )
)  # fmt: skip
"""Words that may stand for each other, but mostly do not: a name that fits better goes before."""

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
