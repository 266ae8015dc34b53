"""States that a question says in words, in those of the columns that say so.

*Open violations* asks for those whose date of closing is missing, where there is such a date;
*finished tests* for those with the status *done*. By the states of the lexicon, for any participle
with an `un` before it, and for what comments say that codes mean. What the rows have as a value is
left as it is said, and so is what two columns may mean.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mcp_server.nl2sql.linking.outcomes import LEAVE, SERVE, Outcomes
from mcp_server.nl2sql.schema.model import Column, Profile, Table
from mcp_server.nl2sql.words.lexicon import STATES
from mcp_server.nl2sql.words.spans import MONTH
from mcp_server.nl2sql.words.tokens import lemma, stem

_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']+'(?!\w)|`[^`]*`")
_HIDDEN = "\ufffd"
_WORD = re.compile(r"[\w'’]+(?:-[\w'’]+)*|[^\w\s]")
_COMPANY = (
    r"(?:us|(?:the|our|this) (?:company|firm|business|organi[sz]ation|club|team|staff|payroll))"
)
_HERE = re.compile(
    rf"\b(?:with {_COMPANY}|work(?:s|ing)? (?:here|(?:for|at) {_COMPANY})|employed(?: here"
    rf"| by {_COMPANY}| at {_COMPANY})?|on (?:staff|the payroll)|(?<=still )here)(?!\w)",
    re.IGNORECASE,
)
_STAYS = "employed-here"
_USED = re.compile(
    r"\b(?:(?P<who>that|which) )?(?:can(?P<not> ?not|['’]?t)? (?:we|you|i|one|people) "
    r"(?:(?P<not2>not) )?(?:actually |still )?use|(?<=that )(?:we|you|i|one|people) "
    r"can(?P<not3> ?not|['’]?t)? (?:actually |still )?use|can (?:(?P<not4>not) )?be used)"
    r"(?=(?: (?:right )?now)?\W*\Z)",
    re.IGNORECASE,
)
_FORMER = "former"
_SERVING = "in service"
_DID = re.compile(
    r"\A(?:did|does|do|has|have) (?:anyone|anybody|someone|somebody) "
    r"(?P<verb>[a-z]+) (?:an?|any|the|their) (?=[a-z])",
    re.IGNORECASE,
)
_TIMELY = re.compile(
    r"\b(?:(?P<who>that|which|who) )?(?:(?:be|is|are|was|were|got) )?"
    r"(?:(?:wrapped up|came in|[a-z]+ed|done|ready) )?"
    r"(?P<when>ahead of (?:schedule|time|plan)|before schedule|behind (?:schedule|plan))(?!\w)",
    re.IGNORECASE,
)
_SKIPPED_SAID = """
    yet still already currently since now been being fully
"""
_SKIPPED = frozenset(_SKIPPED_SAID.split())
_NOT = frozenset({"not", "never"})
_BE_SAID = """
    is are was were be have has had got get gets do does did
"""
_BE = frozenset(_BE_SAID.split())
_WHO = frozenset({"that", "which", "who"})
_OF_EVENTS_SAID = """
    in on by before after since during within between at from as last this today yesterday until
    to with for late early ahead behind when while or later earlier than
"""
_OF_EVENTS = frozenset(_OF_EVENTS_SAID.split())
"""What may say when, where or by whom something was done: of an event, and no state."""
_AS_OF = frozenset(
    {"on", "at", "until", "after", "before", "between", "from", "since", "late", "early", "as"}
)
"""What may say when rows stood so, which no date that is missing today says."""
_BEFORE_NOUN_SAID = """
    the a an all any every each of for with have has had and many which what show list find give
    me count total number their our on in about among both no only are
"""
_BEFORE_NOUN = frozenset(_BEFORE_NOUN_SAID.split())
"""What an adjective may stand behind."""
_NOUN_MAX = 3
_PHRASE_MAX = 3
_COUNTED = re.compile(r"\b(?:how many|number of|count)(?: the)? (?:[\w-]+ )?\Z", re.IGNORECASE)
_WHEN = re.compile(
    rf" (?:in|on|before|after|since|during|between|until) (?:the )?(?:\d|{MONTH}|last|this|q[1-4])",
    re.IGNORECASE,
)
_PARTICIPLE = re.compile(r"(?:ed|aid|sent|left|quit|gone|former|complete|done|over| \w+)\Z")
"""What says that something has happened; a name, such as `delivery`, does not."""
_SURELY = 0.95
_SAYING = 0.6
"""How well words have to name a table for a state to be said of it."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A state, as the tokens [start, end) say it. word: a participle without its `un`."""

    start: int
    end: int
    text: str
    word: str
    groups: tuple[str, ...]
    done: bool


@dataclass(frozen=True, slots=True)
class _Ways:
    """The conditions that may be meant of a table's rows. left: whether the grammar reads it."""

    table: Table
    ways: Sequence[str]
    left: bool = False


class States:
    """The states of one database's rows. tables, columns: what words name there, with scores."""

    def __init__(
        self,
        profile: Profile,
        tables: Callable[[tuple[str, ...]], Sequence[tuple[Table, float]]],
        columns: Callable[[tuple[str, ...]], Sequence[tuple[Column, float]]],
    ) -> None:
        self._tables = tables
        self._columns = columns
        self._outcomes = Outcomes(profile)
        self._meanings = list(self._outcomes.meanings())
        self._own = {word for each in profile.synonyms for word in each.words}
        """Words that the user explains."""
        self._late = [c for c in profile.derived if c.made is not None and c.made.how == "late"]

    def put(self, text: str, about: Sequence[Table] = ()) -> tuple[str, str]:
        """The text with its states as columns say them, and what one that is left may mean.

        about: what the rows are of that were spoken of before.
        """
        quoted = _QUOTED.findall(text)
        found = self._timely(self._happened(_QUOTED.sub(_HIDDEN, text)))
        here = _HERE.search(found)
        if here is not None:
            found = f"{found[: here.start()]}{_STAYS}{found[here.end() :]}"
        used = _USED.search(found)
        if used is not None:
            denied = any(used[each] for each in ("not", "not2", "not3", "not4"))
            said = f"that are {'not ' if denied else ''}{_SERVING}"
            found = f"{found[: used.start()]}{said}{found[used.end() :]}"
        found, doubt = self._said(found, about)
        if used is not None and _SERVING in found and not doubt:
            doubt = "nothing says what can be used"
        if _STAYS in found and here is not None:
            found = found.replace(_STAYS, here[0])
        for part in quoted:
            found = found.replace(_HIDDEN, part, 1)
        return self._coded(found), doubt

    def _said(self, text: str, about: Sequence[Table]) -> tuple[str, str]:
        doubt, after = "", 0
        while True:
            tokens = list(_WORD.finditer(text))
            said = next((each for each in _states(tokens) if each.start >= after), None)
            if said is None:
                return text, doubt
            after = said.end
            if self._own & set(said.text.split()):
                continue
            put, told = self._before_noun(text, tokens, said) or self._of_noun(
                text, tokens, said, about
            )
            doubt = doubt or told
            after += len(_WORD.findall(put)) - len(tokens)
            text = put

    def _before_noun(
        self, text: str, tokens: Sequence[re.Match[str]], said: _Said
    ) -> tuple[str, str] | None:
        """`Open violations`: those whose date of closing is missing."""
        before = tokens[said.start - 1][0].lower() if said.start else ""
        if before and before[-1].isalpha() and before not in _BEFORE_NOUN:
            return None
        if LEAVE in said.groups and said.text != _FORMER:
            return None
        as_flag = " by " not in text[tokens[said.end - 1].end() :]  # approved by nobody is said
        for length in range(min(_NOUN_MAX, len(tokens) - said.end), 0, -1):
            nouns = tokens[said.end : said.end + length]
            if self._named_so(tokens[said.start : said.end + length]):
                return text, ""  # open tests, of a table that is called so
            found = self._ways(self._named(nouns), said, said.done, as_flag=as_flag)
            if found is not None and found.ways:
                start, end = tokens[said.start].start(), nouns[-1].end()
                return _with(text, start, end, f"{self._noun(text, nouns, found)} ", said, found)
            if found is not None and found.left:
                return text, ""
        return None

    def _of_noun(
        self, text: str, tokens: Sequence[re.Match[str]], said: _Said, about: Sequence[Table]
    ) -> tuple[str, str]:
        """`Violations that are still open`; `jobs not finished yet`; `those who have left`."""
        start, denied, verb = _back(tokens, said.start)
        follows = tokens[said.end][0].lower() if said.end < len(tokens) else ""
        event = follows in _OF_EVENTS and (said.done or follows in _AS_OF)
        when = _WHEN.match(text, tokens[said.end - 1].end())
        if when and event and said.done and not denied:
            return self._event(text, tokens, said, start)
        event = event or when is not None
        ends = not follows[:1].isalpha() or follows in _OF_EVENTS or follows == "and"
        beside = verb or denied or not said.done
        if event or not ends or not beside:
            return text, ""
        whole = tokens[start].start(), tokens[said.end - 1].end()
        for end in range(start, 0, -1):
            for length in range(min(_NOUN_MAX, end), 0, -1):
                nouns = tokens[end - length : end]
                found = self._ways(self._named(nouns), said, said.done != denied)
                if found is not None and found.left:
                    return text, ""
                if found is not None and found.ways:
                    if said.done and LEAVE not in said.groups and _says(found.ways, said.word):
                        return text, ""  # `not shipped`, which the grammar reads
                    noun = self._noun(text, nouns, found)
                    between = text[nouns[-1].end() : whole[0]]
                    return _with(text, nouns[0].start(), whole[1], f"{noun}{between}", said, found)
            if not verb and not denied:
                return text, ""  # `outstanding` right behind what is so
        ways = [(table, 1.0) for table in about] if verb or denied else []
        found = self._ways(ways, said, said.done != denied) if start else None
        if found is None or not found.ways:
            return text, ""
        return _with(text, *whole, "", said, found)

    def _event(
        self, text: str, tokens: Sequence[re.Match[str]], said: _Said, start: int
    ) -> tuple[str, str]:
        """`Agents who left in 2025`, where the date is the end of something."""
        if any(score >= _SURELY for _, score in self._columns(("since",))):
            return text, ""  # a name, and no bound of times
        for at in range(start, 0, -1):
            nouns = tokens[at - 1 : at]
            tables = self._named(nouns)
            ways = self._outcomes.dates(tables[0][0], said.word, said.groups) if tables else []
            if len(ways) > 1 or _says(ways, said.word):
                return text, ""  # the grammar reads what is called so
            if ways:
                noun = self._noun(text, nouns, _Ways(tables[0][0], ways))
                between = text[nouns[-1].end() : tokens[start].start()]
                put = f"{noun}{between}{ways[0]} is{text[tokens[said.end - 1].end() :]}"
                return f"{text[: nouns[0].start()]}{put}", ""
        return text, ""

    def _named(self, nouns: Sequence[re.Match[str]]) -> list[tuple[Table, float]]:
        """The tables that nouns name, best first, and those that a noun is the last word of."""
        words = tuple(lemma(noun[0]) for noun in nouns)
        return [pair for pair in self._tables(words) if pair[1] >= _SAYING]

    def _named_so(self, words: Sequence[re.Match[str]]) -> bool:
        return any(score >= _SURELY for _, score in self._named(words))

    def _noun(self, text: str, nouns: Sequence[re.Match[str]], found: _Ways) -> str:
        """What rows are called, as their table is where a column or another table is called so."""
        words = tuple(lemma(noun[0]) for noun in nouns)
        named = self._tables(words)
        # how many violations there are, and not how many types of them
        counted = _COUNTED.search(text[: nouns[0].start()]) and self._columns(words)
        if named[0][0] is found.table and (named[0][1] >= _SURELY or not counted):
            return text[nouns[0].start() : nouns[-1].end()]
        several = "s" if nouns[-1][0].lower() != words[-1] else ""
        return f"{' '.join(found.table.words)}{several}"

    def _ways(
        self,
        tables: Sequence[tuple[Table, float]],
        said: _Said,
        done: bool,
        *,
        as_flag: bool = False,
    ) -> _Ways | None:
        """What may be meant of the first table that has anything to say of it."""
        for table, _ in tables:
            flag = self._outcomes.flag(table, said.text) if as_flag else ""
            if flag:
                return _Ways(table, [flag])
            if self._outcomes.has(table, said.text) or (
                said.done and self._outcomes.has(table, said.word)
            ):
                return _Ways(table, [], left=True)
            if ways := self._outcomes.ways(table, said.word, said.groups, done):
                return _Ways(table, ways)
        return None

    def _happened(self, text: str) -> str:
        """`Did anyone fail a final test in May` asks for failed final tests in May."""
        match = _DID.match(text)
        done = self._outcomes.done_as(match["verb"].lower()) if match is not None else ""
        return f"{done} {text[match.end() :]}" if match is not None and done else text

    def _timely(self, text: str) -> str:
        """`Ahead of schedule`: one date before the planned one of the same row."""
        match = _TIMELY.search(text)
        if match is None:
            return text
        heard = {table for word in _WORD.findall(text) for table in self._named_by(word)}
        late = [c.made.of for c in self._late if c.table in heard and c.made is not None]
        if len(late) != 1:
            return text
        due, done = late[0]
        how = "after" if match["when"].lower().startswith("behind") else "before"
        said = f"whose {' '.join(done.words)} is {how} the {' '.join(due.words)}"
        return f"{text[: match.start()]}{said}{text[match.end() :]}"

    def _named_by(self, word: str) -> list[Table]:
        return [table for table, score in self._tables((lemma(word),)) if score >= _SAYING]

    def _coded(self, text: str) -> str:
        """`Not on duty`, where a comment says `Y = still on duty, N = no longer`."""
        tokens = list(_WORD.finditer(text))
        low = [token[0].lower() for token in tokens]
        for column, code, words, other in self._meanings:
            for at in range(1, len(low)):
                if not words or low[at : at + len(words)] != list(words):
                    continue
                start, denied, verb = _back(tokens, at)
                noun = start and any(t is column.table for t in self._named_by(low[start - 1]))
                if not (verb or noun) or (denied and not other):
                    continue
                said = f"whose {' '.join(column.words)} is '{other if denied else code}'"
                end = tokens[at + len(words) - 1].end()
                return f"{text[: tokens[start].start()]}{said}{text[end:]}"
        return text


def _says(ways: Sequence[str], word: str) -> bool:
    """Whether a column is called as a state is."""
    return any(stem(word) in map(stem, way.split()) for way in ways)


def _with(
    text: str, start: int, end: int, before: str, said: _Said, found: _Ways
) -> tuple[str, str]:
    """The text with the one condition in the place of a state, or what it may mean."""
    if len(found.ways) > 1:
        told = "; or: ".join(way.removeprefix("whose ") for way in found.ways)
        return text, f"{said.text!r} may mean: {told}"
    return f"{text[:start]}{before}{found.ways[0]}{text[end:]}", ""


def _states(tokens: Sequence[re.Match[str]]) -> list[_Said]:
    """What a text says of states, in its order."""
    found, at = list[_Said](), 0
    while at < len(tokens):
        spans = range(min(_PHRASE_MAX, len(tokens) - at), 0, -1)
        said = next((one for length in spans if (one := _state(tokens, at, length))), None)
        if said is not None:
            found.append(said)
        at = said.end if said is not None else at + 1
    return found


def _state(tokens: Sequence[re.Match[str]], at: int, length: int) -> _Said | None:
    text = " ".join(token[0].lower() for token in tokens[at : at + length])
    if text == _STAYS:
        return _Said(at, at + 1, text, text, (LEAVE,), False)
    for done in (True, False):
        groups = tuple(name for name, said in STATES.items() if text in said[not done])
        verbal = _PARTICIPLE.search(text) or SERVE in groups
        if groups and (not done or verbal):
            plain = text.removeprefix("un").removeprefix("in") if not done else text
            return _Said(at, at + length, text, plain, groups, done)
    if length == 1 and re.fullmatch(r"un[a-z]{3,}(?:ed|id|nt|ld|ught)", text):
        return _Said(at, at + 1, text, text[2:], (), False)
    return None


def _back(tokens: Sequence[re.Match[str]], at: int) -> tuple[int, bool, bool]:
    """Where what belongs to a state before it begins, whether it is denied, and whether a verb or a
    `who` says it of something.
    """
    denied = verb = False
    while at:
        word = tokens[at - 1][0].lower()
        if word.endswith(("n't", "n’t")) and word[:-3] in _BE:
            denied, verb = not denied, True
        elif word in _NOT:
            denied = not denied
        elif word == "longer" and at > 1 and tokens[at - 2][0].lower() == "no":
            denied, at = not denied, at - 1
        elif word in _BE:
            verb = True
        elif word in _WHO:
            # `which have left` asks for them, and so needs no noun before it
            return (at - 1, denied, True) if at > 1 else (at, denied, verb)
        elif word not in _SKIPPED:
            break
        at -= 1
    return at, denied, verb
