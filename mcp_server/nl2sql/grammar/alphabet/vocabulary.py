# ruff: noqa: E501 -- lists of phrases read best in full lines
"""Phrases of English that say something about a query, each with the kind of symbol it makes.

Phrases are in lemmas (nouns in the singular, `is` as `be`); the longest that fits is taken.
"""

from dataclasses import dataclass

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AGGREGATE,
    AND,
    BETWEEN,
    BOTH,
    BUT,
    BY,
    COMMA,
    COMMONEST,
    DIRECTION,
    DISTINCT,
    EACH,
    EMPTY,
    FILLER,
    FOR,
    FULL_STOP,
    HAVE,
    HOW_MANY,
    HOW_OFTEN,
    IN,
    LIKE,
    MOST,
    NOT,
    OF,
    OR,
    OR_MORE,
    SAME,
    SHARE,
    SORTED,
    THAN,
    THAT,
    WHOSE,
    SymbolKind,
)
from mcp_server.nl2sql.sql.logical import Aggregate, Operator
from mcp_server.nl2sql.words.lexicon import (
    COMPARATIVES,
    PHRASE_COMPARATIVES,
    PHRASE_SUPERLATIVES,
    SUPERLATIVES,
)


@dataclass(frozen=True, slots=True)
class Cue:
    """What a phrase says. kind: the letter of the `SymbolKind` by which patterns know it."""

    kind: str
    aggregate: Aggregate | None = None
    operator: Operator | None = None
    descending: bool = False
    hints: tuple[str, ...] = ()
    how: str = ""


def _phrases(kind: SymbolKind, text: str) -> dict[tuple[str, ...], Cue]:
    return {tuple(phrase.split()): Cue(kind.letter) for phrase in text.split(",")}


def _operators(
    operator: Operator, text: str, kind: SymbolKind = THAN
) -> dict[tuple[str, ...], Cue]:
    return {tuple(p.split()): Cue(kind.letter, operator=operator) for p in text.split(",")}


def _aggregates(aggregate: Aggregate, text: str) -> dict[tuple[str, ...], Cue]:
    return {tuple(p.split()): Cue(AGGREGATE.letter, aggregate=aggregate) for p in text.split(",")}


def _likes(how: str, text: str) -> dict[tuple[str, ...], Cue]:
    return {tuple(p.split()): Cue(LIKE.letter, how=how) for p in text.split(",")}


def _ranks(descending: bool, text: str) -> dict[tuple[str, ...], Cue]:
    return {tuple(p.split()): Cue(MOST.letter, descending=descending) for p in text.split(",")}


def _directions(descending: bool, text: str) -> dict[tuple[str, ...], Cue]:
    found = {}
    for phrase in text.split(","):
        by_name = "alphabet" in phrase or "lexico" in phrase
        cue = Cue(DIRECTION.letter, descending=descending, hints=("name",) if by_name else ())
        for ending in ("order", "order of", "order by", "manner", ""):
            for start in ("in", "in the", "in a", "by", ""):
                found[tuple(f"{start} {phrase} {ending}".split())] = cue
    return found


def _common() -> dict[tuple[str, ...], Cue]:
    found = {}
    for amount, descending in (("most", True), ("least", False)):
        for adverb in ("", "commonly ", "frequently ", "often ", "widely "):
            for what in (
                ["common", "popular", "frequent", "prominent", "predominant", "frequently",
                 "commonly", "often", "widely"]
                if not adverb
                else ["used", "owned", "spoken", "played", "ordered", "bought", "chosen", "seen",
                      "occurring", "found", "mentioned", "visited", "purchased", "produced"]
            ):  # fmt: skip
                found[tuple(f"{amount} {adverb}{what}".split())] = Cue(
                    COMMONEST.letter, descending=descending
                )
    return found


def _comparatives() -> dict[tuple[str, ...], Cue]:
    found: dict[tuple[str, ...], Cue] = {}
    for word, (hints, sign) in (COMPARATIVES | PHRASE_COMPARATIVES).items():
        operator: Operator = ">" if sign == ">" else "<"
        found[*word.split(), "than"] = Cue(THAN.letter, operator=operator, hints=hints)
        opposite: Operator = "<=" if sign == ">" else ">="
        for start in ("not", "no"):
            found[start, *word.split(), "than"] = Cue(THAN.letter, operator=opposite, hints=hints)
        found["or", *word.split()] = Cue(
            OR_MORE.letter, operator=">=" if sign == ">" else "<=", hints=hints
        )
    return found


def _superlatives() -> dict[tuple[str, ...], Cue]:
    found: dict[tuple[str, ...], Cue] = {
        (word,): Cue(MOST.letter, descending=descending, hints=hints)
        for word, (hints, descending) in SUPERLATIVES.items()
        if word not in ("old", "highest", "lowest", "largest", "biggest", "smallest")
    }
    for phrase, (hints, descending) in PHRASE_SUPERLATIVES.items():
        found[tuple(phrase.split())] = Cue(MOST.letter, descending=descending, hints=hints)
    for word in ("highest", "lowest", "largest", "biggest", "smallest"):
        hints, descending = SUPERLATIVES[word]
        found[(word,)] = Cue(MOST.letter, descending=descending, hints=hints, how="any")
    return found


SIGNS: dict[str, Operator] = {
    "<": "<", "<=": "<=", "=": "=", "!=": "<>", ">=": ">=", ">": ">",
}  # fmt: skip
CUES: dict[tuple[str, ...], Cue] = {
    **_phrases(HOW_MANY, "how many,number of,count of,count the number of,total number of,count number of,"
               "overall number of,amount of,quantity of,count how many,number for,how many of,"
               "number of occurrence of,count,total count of,how many total,how many type of,"
               "how many kind of,number of type of,number of kind of"),
    **_phrases(HOW_OFTEN, "how many times,how many time,number of time,number of times"),
    ("how", "much"): Cue(FILLER.letter),
    ("how", "old"): Cue(FILLER.letter),
    **_aggregates("avg", "average,mean,avg,average of,mean of,average value of,average number of,"
                  "average amount of,mean number of,on average"),
    **_aggregates("sum", "total,sum,sum of,total amount of,total value of,combined,total of,"
                  "total sum of,sum of all,overall,in total"),
    **_aggregates("median", "median,median of,median value of,median number of,median amount of"),
    **_aggregates("stddev", "standard deviation of,standard deviation,stddev"),
    **_aggregates("variance", "variance of,variance"),
    **_aggregates("max", "maximum,max,maximum value of,maximum number of,maximum of,maximal,"
                  "maximum amount of"),
    **_aggregates("min", "minimum,min,minimum value of,minimum number of,minimum of,minimal"),
    **_superlatives(),
    **_ranks(True, "most,greatest,top,best,highest number of,most number of,largest amount of,"
             "most amount of,at most one of"),
    **_ranks(False, "least,fewest,worst,bottom"),
    **{(word, "rated"): Cue(MOST.letter, descending=up, hints=("rating", "score", "rate", "star", "point"))
       for word, up in (("highest", True), ("top", True), ("best", True), ("lowest", False),
                        ("worst", False), ("least", False), ("most", True))},
    **_common(),
    **_operators(">", "more than,greater than,larger than,higher than,over,above,exceed,exceeds,"
                 "exceeding,bigger than,beyond,later than,after,in excess of,more,exceed that of"),
    **_operators("<", "less than,fewer than,smaller than,lower than,below,under,earlier than,"
                 "before,prior to,less,fewer"),
    **_operators(">=", "at least,no less than,not less than,no fewer than,not fewer than,since,"
                 "greater than or equal to,higher than or equal to,more than or equal to,"
                 "larger than or equal to,a minimum of,equal to or greater than,"
                 "equal or greater than,starting from,greater or equal to,equal to or more than,"
                 "on or after,in or after,after or in,after or on,later than or in,later than or on"),
    **_operators("<=", "at most,no more than,not more than,up to,less than or equal to,"
                 "lower than or equal to,smaller than or equal to,not exceed,not exceeding,"
                 "a maximum of,no later than,not later than,equal to or less than,not over,"
                 "not above,fewer than or equal to,no higher than,on or before,in or before,before or in,"
                 "before or on,earlier than or in,earlier than or on"),
    **_comparatives(),
    ("higher", "than"): Cue(THAN.letter, operator=">", hints=("height", "elevation", "altitude")),
    ("lower", "than"): Cue(THAN.letter, operator="<", hints=("height", "elevation", "altitude")),
    **_operators(">", "greater,larger,higher,bigger"),
    **_operators("<", "smaller,lower"),
    **_operators("=", "exactly,equal to,equal,only"),
    **_operators("<>", "not equal to,different from,differ from,unequal to,not the same as,"
                 "other than exactly"),
    **{(sign,): Cue(THAN.letter, operator=operator, how="sign") for sign, operator in SIGNS.items()},
    ("+",): Cue(OR_MORE.letter, operator=">="),
    **_operators(">=", "or more,or above,or higher,or greater,or later,or over,or after,or newer", OR_MORE),
    **_operators("<=", "or less,or fewer,or below,or lower,or earlier,or under,or before", OR_MORE),
    **_phrases(BETWEEN, "between,in between,in the range of,range from,ranging from,in the range"),
    **_phrases(EACH, "for each,for every,per,each,every,in each,of each,by each,grouped by,group by,"
               "for all the different,for different,in every,of every,at each,from each,on each,"
               "for each of,for each different,for all different,with each,to each,across each,"
               "for each distinct,for every different,of different,"
               "in different,each of,group by each,group them by,broken down by,across different,"
               "under each,for each unique,respectively for each,across,grouped by each,for each possible"),
    **_phrases(DISTINCT, "different,distinct,unique"),
    **_phrases(NOT, "not,no,never,without,except,excluding,neither,nor,none,other than,but not,"
               "besides,outside,except for,apart from,and not,not have any,have no,not any,"
               "not have,have not,have never,no any,lack,non,cannot,exclude,no longer,outside of,free of,lacking"),
    **_phrases(AND, "and,as well as,along with,together with,and also,plus,and then,also with"),
    **_phrases(OR, "or,and or"),
    **_phrases(BUT, "but,but also,however,although,while"),
    **_phrases(BOTH, "both"),
    **_phrases(HAVE, "have,with,having,own,contain,include,possess,of having,that have,who have,"
               "which have,hold"),
    **_phrases(SORTED, "sorted by,order by,ordered by,sort by,sorted,ordered,sort,in order of,"
               "arranged by,ranked by,sorted in,ordered in,order them by,sort them by,listed by,"
               "listed in,sorted according to,sort the result by,order the result by,in the order of,"
               "sort the list by,and sort by,ordered according to,rank by,ordering by,ranked,"
               "arrange by,sorted base on,sorted from,sort them in,order of,sort the result in,arranged,"
               "organized by,ordered alphabetically by,sorted alphabetically by,alphabetically ordered by"),
    **_directions(False, "ascending,alphabetical,alphabetic,increasing,lexicographic,"
                  "lexicographical,chronological,ascending alphabetical,asc"),
    **_directions(True, "descending,decreasing,reverse alphabetical,reversed lexicographical,"
                  "reverse,desc,descending alphabetical,reverse chronological"),
    **{tuple(p.split()): Cue(DIRECTION.letter, descending=False) for p in (
        "alphabetically", "from low to high", "from the lowest to highest", "from lowest to highest",
        "from small to large", "from smallest to largest", "from the youngest to the oldest",
        "from youngest to oldest", "from the lowest to the highest", "from young to old",
        "from early to late", "from least to most", "from the oldest to the most recent",
        "from least to greatest", "from shortest to longest", "from short to long",
        "from the least to the most")},
    **{tuple(p.split()): Cue(DIRECTION.letter, descending=True) for p in (
        "from high to low", "from the highest to lowest", "from highest to lowest",
        "from large to small", "from largest to smallest", "from the oldest to the youngest",
        "from oldest to youngest", "from the highest to the lowest", "from old to young",
        "from late to early", "from most to least", "from greatest to least",
        "from the most recent to the oldest", "from longest to shortest", "from long to short",
        "from the most to the least", "from most recent to least recent")},
    **_phrases(THAT, "that,which,who,whom,where,in which,for which,from which,by which,on which,"
               "with which,to which,when"),
    **_phrases(WHOSE, "whose,where the,for whom,of which"),
    **_phrases(OF, "of,belonging to,belong to,part of,a part of,across all,across all the,among all,"
               "over all,for all,for all the,of all,of all the,in all,across the"),
    **_phrases(FOR, "for,about"),
    **_phrases(BY, "by,base on,according to,in term of,based on"),
    **_phrases(IN, "in,at,on,from,to,into,during,within,through,via,as,inside,located in,"
               "locate in,near,around,between the,live in,called,named,title,titled,entitled,call"),
    **_likes("contain", "contain the word,contain the substring,contain the letter,containing,"
             "have the word,have the substring,have the letter,include the word,contain the phrase,"
             "include the substring,with the word,with the substring,with the letter,"
             "with substring,contain substring,have substring,contain the string,containing the word,"
             "containing the substring,containing the letter,containing letter,containing word,"
             "containing string,containing substring,contain a,contain the character,"
             "have the phrase,including the word,with the phrase,like,contain letter,contain word,"
             "have the string,have the word,contain the text,including the substring,"
             "including the letter,have a substring,include the phrase,have word,contain the name"),
    **_likes("start", "start with,starting with,begin with,beginning with,start with the letter,"
             "begin with the letter,starting with the letter,beginning with the letter,start by,"
             "have the prefix,with the prefix,with prefix,start from the letter,"
             "first letter be,whose first letter be,start with letter,begin with letter,starting with letter,started with,start with a"),
    **_likes("end", "end with,ending with,end in,ending in,end with the letter,have the suffix,"
             "with the suffix,ending with the letter,end with letter,end by"),
    **_phrases(EMPTY, "null,missing,unknown,unspecified,blank,empty,not available,not specified"),
    **_phrases(SAME, "same,the same,identical"),
    **_phrases(SHARE, "percentage of,proportion of,share of,percent of,fraction of,"
               "what percentage of,what proportion of,what percent of,what share of,which percentage of,"
               "which proportion of,which percent of,which share of,what fraction of,which fraction of,"
               "what part of,which part of"),
    **_phrases(FILLER, "the,a,an,all,any,some,their,its,his,her,our,these,those,this,also,there,do,"
               "please,me,us,you,i,we,can,could,would,will,like,know,want,be,be there,it,they,"
               "them,ever,together,respectively,respective,corresponding,associated,exist,"
               "available,just,information,record,detail,whole,entire,given,certain,particular,"
               "currently,current,value,then,so,such,one,existing,recorded,listed,"
               "return,find,show,list,give,tell,display,report,retrieve,what,compute,calculate,"
               "provide,present,get,identify,what be,determine,select,describe,need,see,find out,"
               "should,may,might,various,either,result,answer,s,her,our,his,up,out,has,"
               "at once,at a time,aged,than,year old,year of age,belong,relevant,specific,related,each other,let,name of the,return me,"
               "work,working,worked,placed,participate,participated,pls,plz,kindly,hi,hello,hey,dear,thx,thanks,"
               "thank,thank you,many thanks,cheers,ok,okay,u,ur,got,so far,quickly,anything,something,anyone,"
               "anybody"),
    **{(mark,): Cue(FULL_STOP.letter) for mark in ".?;:"},
    (",",): Cue(COMMA.letter),
}  # fmt: skip
CUES.pop(("name", "of", "the"))
CUES.pop(("between", "the"))
CUES.pop(("at", "most", "one", "of"))
ANYONE = frozenset(
    ["people", "person", "member", "individual", "item", "entry", "record", "time", "times", "one"]
)
"""Words for rows of whatever is spoken of."""
PHRASE_MAX = max(len(phrase) for phrase in CUES)

SOFT = frozenset(
    [
        "count",
        "total",
        "average",
        "mean",
        "overall",
        "sum",
        "over",
        "like",
        "top",
        "detail",
        "information",
        "record",
        "value",
        "name",
        "result",
        "best",
        "title",
        "order",
        "rank",
        "first",
        "last",
        "order of",
        "state",
        "current",
        "report",
        "number of",
        "amount of",
        "quantity of",
        "status",
        "maximum",
        "minimum",
        "max",
        "min",
        "each",
        "after",
        "before",
        "sort",
        "own",
        "hold",
        "near",
        "around",
        "call",
        "share of",
        "percentage of",
        "proportion of",
        "percent of",
        "total number of",
        "maximum number of",
        "minimum number of",
        "average number of",
        "lack",
        "show",
        "list",
        "answer",
    ]
)
"""Phrases that yield to a name of the schema which holds all their words."""
