"""The built-in translator: questions in English to SQL, without a model.

    Translator("postgresql://...").translate("how many customers are from Paris")

It reads the database's profile once, and again when its tables change.
"""

import datetime
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

import psycopg
from sqlglot import exp

from mcp_server.nl2sql.business.asides import without_asides
from mcp_server.nl2sql.business.cohorts import Cohort, in_cohort
from mcp_server.nl2sql.business.wording import in_schema_words
from mcp_server.nl2sql.choosing.candidates import Made, candidates, judge
from mcp_server.nl2sql.choosing.declining import not_sure, nothing_made
from mcp_server.nl2sql.choosing.results import SAMPLE_ROWS, Result
from mcp_server.nl2sql.choosing.windowed import over_window, settle
from mcp_server.nl2sql.conversation.about_schema import about_schema
from mcp_server.nl2sql.conversation.following import RESTRICTED, following
from mcp_server.nl2sql.conversation.pointing import of_that_one, pointing, who_did
from mcp_server.nl2sql.conversation.turns import Turn, tables_read
from mcp_server.nl2sql.database import parsed
from mcp_server.nl2sql.database.connecting import Dsn
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.lending import Borrower, Lender, Loan
from mcp_server.nl2sql.database.reader import Reader
from mcp_server.nl2sql.database.steps import Row, run
from mcp_server.nl2sql.declined import SHOWN, either, unexplained, with_meant
from mcp_server.nl2sql.errors import QueryTimeoutError, RefusedError
from mcp_server.nl2sql.languages.reading import in_english, require_known
from mcp_server.nl2sql.languages.rewriting import Interpreter
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.meaning import Embeddings, Meanings
from mcp_server.nl2sql.mending.mend import Mended, mends
from mcp_server.nl2sql.model.facts import Facts, facts
from mcp_server.nl2sql.relations.asking import Related, related
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Profile
from mcp_server.nl2sql.schema.narrowing import Narrowing
from mcp_server.nl2sql.schema.profile import profile
from mcp_server.nl2sql.schema.version import schema_version
from mcp_server.nl2sql.semantics.keeping import understood
from mcp_server.nl2sql.semantics.queries import filtered
from mcp_server.nl2sql.semantics.wording import in_own_words
from mcp_server.nl2sql.sql.assumptions import assumptions
from mcp_server.nl2sql.sql.paraphrase import reading
from mcp_server.nl2sql.stages.asking import in_steps
from mcp_server.nl2sql.stages.parts import Answered
from mcp_server.nl2sql.translation import Candidate, Link, Translation
from mcp_server.nl2sql.windows.asking import Change, MovingAverage, RunningTotal, Window, windowed
from mcp_server.nl2sql.words.evidence import worked_in
from mcp_server.nl2sql.words.spoken import in_print
from mcp_server.nl2sql.words.tokens import tokenize

T = TypeVar("T")

THRESHOLD = 0.59
"""Below this confidence a question is declined."""

TRIED = 14
TRY_SECONDS = 0.5
QUESTION_SECONDS = 5.0
"""What belongs to a question that was translated within this time looks for no changes again."""

PROBE = Reader("", limits=Limits(rows=SAMPLE_ROWS, cost=math.inf, timeout=TRY_SECONDS))
"""The steps of a candidate; the connection is the translator's own."""


_Scope: TypeAlias = tuple[Linker, JoinGraph]
"""What is known of the tables that a question may be about."""


class Translator(Borrower):
    """Translates questions about one database; safe to call from several threads.

    dsn: libpq connection string of a role that may read, or what gives one for each new connection
    (a cluster's holds a token of 15 minutes). Any PostgreSQL from 16 on will do: nothing is made in
    it, and nothing runs outside a READ ONLY transaction but a look at `pg_catalog`.

    language: the code of the questions' language, as `de`; None tells it by their words.
    embeddings: by which a declined question says what is nearest in meaning to words that nothing
    explains; None leaves that out.

    Connections are closed when no question has come for a while, and made again when they are lost
    (`database/lending.py`). Threads wait for each other only while the database is profiled.
    """

    def __init__(
        self, dsn: Dsn, language: str | None = None, embeddings: Embeddings | None = None
    ) -> None:
        require_known(language)
        self._embeddings = embeddings
        self._meaning: tuple[Profile, Meanings] | None = None
        self.dsn = dsn
        self.language = language
        self._lender = Lender(dsn)
        self._profiling = threading.Lock()
        self._known: tuple[Row | None, Narrowing[_Scope]] | None = None
        self._interpreting: tuple[Profile, Interpreter] | None = None
        self._looked = -math.inf
        """When it was last seen that nothing had changed."""

    def translate(
        self,
        question: str,
        evidence: str | None = None,
        explain: bool = False,
        context: Sequence[Turn] = (),
    ) -> Translation:
        """Translate one question. Raises psycopg.OperationalError where the database is away.

        evidence: what words of the question stand for; see `mcp_server.nl2sql.words.evidence`.
        context: the questions before with the SQL of their answers, on the last of which this one
        may build: "and in Paris?", "only the top 3", "no, by ship date".
        """
        texts = worked_in(without_asides(question), evidence)

        def translated(loan: Loan) -> Translation:
            known = self._profile(loan)
            found, english = self._said(loan, known, texts, explain, context)
            if found.sql is not None or self._embeddings is None:
                return found
            english, _ = in_own_words(english, known.profile.synonyms)
            linker, _ = known.about(tokenize(english))
            words = [word for word in unexplained(found, english, linker) if word in texts[-1]]
            nearest = self._meanings(known.profile, self._embeddings).nearest(words)
            if not nearest:
                return found
            loan.go_on()
            reason = "; ".join([found.reason, *(each.told for each in nearest)])
            found = replace(found, reason=reason)
            if len(words) > 1 or not nearest[0].clearly:
                return found
            meant = [nearest[0].replaced(text) for text in texts]
            read, _ = self._said(loan, known, meant, False, context)
            return with_meant(found, read, nearest[0])

        return self._with_loan(translated)

    def mends(self, sql: str, *, failed: bool) -> list[Mended]:
        """Queries to try in the place of one that fails, or finds nothing; see `mending.mend`.

        Raises psycopg.OperationalError where the database is away.
        """

        def mended(loan: Loan) -> list[Mended]:
            known = self._profile(loan, QUESTION_SECONDS)
            return mends(sql, *known.about(tokenize(sql)), failed=failed)

        return self._with_loan(mended)

    def facts(self, question: str) -> Facts:
        """What is known of the database, and the values that a question says; for a prompt.

        Raises psycopg.OperationalError where the database is away.
        """

        def known(loan: Loan) -> Facts:
            found = self._profile(loan, QUESTION_SECONDS)
            return facts(question, found.about(tokenize(question))[0])

        return self._with_loan(known)

    def _with_loan(self, use: Callable[[Loan], T]) -> T:
        """What `use` makes of a kept connection, or of a new one where that was lost."""
        with self._lender.lend() as loan:
            try:
                return use(loan)
            except psycopg.OperationalError:
                if not loan.kept or not loan.conn.broken:
                    raise
            # the kept connection was lost while nobody looked: a failover, or a pause
            self._lender.renew(loan)
            return use(loan)

    def _interpreter(self, known: Profile) -> Interpreter:
        kept = self._interpreting
        if kept is None or kept[0] is not known:
            self._interpreting = kept = known, Interpreter(known)
        return kept[1]

    def _meanings(self, known: Profile, embeddings: Embeddings) -> Meanings:
        kept = self._meaning
        if kept is None or kept[0] is not known:
            self._meaning = kept = known, Meanings(known, embeddings)
        return kept[1]

    def _said(
        self,
        loan: Loan,
        known: Narrowing[_Scope],
        texts: Sequence[str],
        explain: bool,
        context: Sequence[Turn],
    ) -> tuple[Translation, str]:
        """What a question of any language means, and the question in English."""
        said = in_english(texts, self._interpreter(known.profile), self.language)
        if said.reason:
            declined = Translation(None, 0.0, reason=said.reason, unused=said.unknown)
            return declined, said.texts[-1]
        texts = [in_print(text, known.profile, follows=bool(context)) for text in said.texts]
        linker, _ = known.about(tokenize(texts[-1]))
        before = tables_read(context, known.profile)
        put = [linker.states.put(text, before) for text in texts]
        texts, doubt = [text for text, _ in put], put[-1][1]
        found = self._told_or_followed(loan, known, texts[-1], context)
        found = found or self._of_last(loan, known, texts[-1], context)
        found = found or self._best(loan, known, texts, explain)
        reason = doubt if found.sql is None and doubt else found.reason
        notes = (*said.notes, *found.assumptions)
        return replace(found, reason=reason, assumptions=notes), texts[-1]

    def _best(
        self, loan: Loan, known: Narrowing[_Scope], texts: Sequence[str], explain: bool
    ) -> Translation:
        found = [self._translate(loan, known, text, explain) for text in texts]
        return max(found, key=lambda each: each.confidence)

    def _told_or_followed(
        self, loan: Loan, known: Narrowing[_Scope], question: str, context: Sequence[Turn]
    ) -> Translation | None:
        """An answer about the schema, or the last answer's query with a part changed."""
        question, notes = in_own_words(question, known.profile.synonyms)
        last = tokenize(context[-1][0]) if context else []
        linker, graph = known.about([*tokenize(question), *last])
        told = about_schema(question, linker, graph)
        if told is not None:
            sql = told.tree.sql(dialect="postgres")
            return Translation(
                sql, told.confidence, told.reading, assumptions=notes, about_schema=True
            )
        found = following(question, context, linker, graph, datetime.date.today())
        if found is None:
            return None
        sql = filtered(found.tree, known.profile).sql(dialect="postgres")
        try:
            first_rows(loan.conn, sql)
        except RefusedError:
            return None
        shown = Candidate(sql, found.confidence, reading(found.tree))
        if found.confidence < THRESHOLD:
            return Translation(
                None,
                found.confidence,
                reason=not_sure(found.unused, [(shown.reading, shown.confidence)]),
                candidates=(shown,),
                unused=found.unused,
                follows=True,
            )
        return Translation(
            sql,
            found.confidence,
            shown.reading,
            candidates=(shown,),
            assumptions=(*notes, *assumptions(found.tree)),
            follows=True,
            corrects=found.corrects,
        )

    def _of_last(
        self, loan: Loan, known: Narrowing[_Scope], question: str, context: Sequence[Turn]
    ) -> Translation | None:
        """What a question asks of the rows of the last answer; None where it points at none."""
        last = tokenize(context[-1][0]) if context else []
        linker, graph = known.about([*tokenize(question), *last])
        found = Translation(None, RESTRICTED)
        tree: exp.Query | None = who_did(question, context, linker, graph)
        tree = tree or of_that_one(question, context, linker, graph)
        if tree is None:
            of_them = pointing(question, context, linker, graph)
            if of_them is None:
                return None
            found = self._translate(loan, known, of_them.question, False)
            tree = None if found.sql is None else of_them.narrowed(found.sql)
            if tree is None:
                reason = found.reason or "it is not clear what it asks of the rows found before"
                declined = Translation(None, 0.0, reason=reason, unused=found.unused, follows=True)
                return declined if of_them.clearly else None
        sql = filtered(tree, known.profile).sql(dialect="postgres")
        try:
            first_rows(loan.conn, sql)
        except RefusedError:
            return None
        told = reading(tree)
        shown = Candidate(sql, found.confidence, told)
        return replace(found, sql=sql, reading=told, candidates=(shown,), follows=True)

    def _translate(
        self,
        loan: Loan,
        known: Narrowing[_Scope],
        question: str,
        explain: bool,
        whole: bool = True,
    ) -> Translation:
        """What a question means. whole: whether it is asked as it is, and no part of another."""
        question, notes = in_own_words(question, known.profile.synonyms)
        linker, graph = known.about(tokenize(question))
        steps = self._in_steps(loan, known, question) if whole else None
        if steps is not None and steps.special:
            first = _of_relations(loan, known.profile, steps)
            if first is not None:
                return replace(first, assumptions=(*notes, *first.assumptions))
        amounts, taken = in_schema_words(question, linker)
        if len(amounts.readings) > 1:
            return either([self._read(loan, known, each, False) for each in amounts.readings])
        question = amounts.readings[0]
        cohort = in_cohort(question, linker, graph, datetime.date.today())
        asked = cohort or windowed(question)
        if asked is not None:
            found = self._read(loan, known, asked[1], explain, asked[0])
        if asked is None or (found.sql is None and cohort is None):
            told = related(question, *known.about(tokenize(question)))
            special = told is not None and told.special
            first = _of_relations(loan, known.profile, told) if special else None
            found = first or self._read(loan, known, question, explain)
            if found.sql is None and not special:
                found = _of_relations(loan, known.profile, told) or found
        if found.sql is None:
            found = _of_relations(loan, known.profile, steps) or found
        if amounts.notes and found.unused:
            found = either([found])  # a total of other rows than those that are meant
        notes = (*notes, *amounts.notes, *taken)
        return replace(found, assumptions=(*notes, *found.assumptions))

    def _in_steps(self, loan: Loan, known: Narrowing[_Scope], question: str) -> Related | None:
        def answer(part: str) -> Answered:
            found = self._translate(loan, known, part, False, whole=False)
            tree = None if found.sql is None else parsed.tree(found.sql)
            known_tree = tree if isinstance(tree, exp.Query) else None
            return Answered(known_tree, found.confidence, heard=not found.unused)

        scope = known.about(tokenize(question))
        return in_steps(question, *scope, answer, datetime.date.today())

    def _read(
        self,
        loan: Loan,
        known: Narrowing[_Scope],
        question: str,
        explain: bool,
        window: Window | Cohort | None = None,
    ) -> Translation:
        """What a question in words of the schema means. window: over the rows that it asks for, or
        what these are told by.
        """
        linker, graph = known.about(tokenize(question))
        links = _links(question, linker) if explain else ()
        made_of_it = candidates(question, linker, graph, datetime.date.today())
        if window is not None:
            made_of_it = over_window(window, made_of_it, question, linker, graph)
        tried: list[tuple[Made, Result]] = []
        problem = ""
        slow = False
        for made in made_of_it[:TRIED]:
            loan.go_on()
            try:
                result = Result(None) if slow else first_rows(loan.conn, made.sql)
                slow = result.rows is None
                if slow:
                    run(loan.conn, PROBE.steps(f"explain {made.sql}"))
            except RefusedError as error:
                problem = str(error)
            else:
                tried.append((made, result))
        loan.go_on()
        if not tried:
            why = f"no valid query came of it: {problem}"
            reason = why if problem else nothing_made(question, linker, graph)
            return Translation(None, 0.0, reason=reason, links=links)
        valid = judge(question, tried)
        if isinstance(window, RunningTotal | MovingAverage | Change) or valid[0].settled:
            settle(valid)
        return _answer(valid, links)

    def _profile(self, loan: Loan, lately: float = 0.0) -> Narrowing[_Scope]:
        """What is known. lately: the seconds that a look at the schema's version is good for."""
        known, looked = self._known, time.monotonic()
        if known is not None and looked - self._looked < lately:
            return known[1]
        version = run(loan.conn, schema_version())
        known = self._known
        if known is not None and known[0] == version:
            self._looked = looked
            return known[1]
        with self._profiling:
            known = self._known
            if known is None or known[0] != version:
                found = profile(loan.conn, loan.go_on)
                run(loan.conn, understood(found))
                self._known = known = version, Narrowing(found, _scope)
            self._looked = looked
        return known[1]


def _of_relations(loan: Loan, known: Profile, told: Related | None) -> Translation | None:
    """The answer to a question that is phrases within phrases, where it is sure and runs."""
    if told is None or told.confidence < THRESHOLD:
        return None
    tree = filtered(told.tree, known)
    sql = tree.sql(dialect="postgres")
    loan.go_on()
    try:
        first_rows(loan.conn, sql)
    except RefusedError:
        return None
    confidence = round(told.confidence, 3)
    shown = Candidate(sql, confidence, reading(tree))
    return Translation(
        sql,
        confidence,
        shown.reading,
        candidates=(shown,),
        assumptions=tuple(assumptions(tree)),
    )


def _scope(found: Profile) -> _Scope:
    return Linker(found), JoinGraph(found)


def first_rows(conn: psycopg.Connection[Any], sql: str) -> Result:
    """Run a query for its first rows, through the guard: a view may call anything.

    Raises RefusedError where the guard or PostgreSQL objects.
    """
    try:
        bounded = f"select * from ({sql}) as found limit {SAMPLE_ROWS}"
        return Result(run(conn, PROBE.steps(bounded)).rows)
    except QueryTimeoutError:
        return Result(None)


def _answer(valid: list[Made], links: tuple[Link, ...]) -> Translation:
    shown = tuple(
        Candidate(made.sql, round(made.confidence, 3), reading(made.tree)) for made in valid[:SHOWN]
    )
    best = valid[0]
    confidence = shown[0].confidence
    if confidence < THRESHOLD:
        why = not_sure(best.unused, [(each.reading, each.confidence) for each in shown])
        return Translation(
            None, confidence, reason=why, candidates=shown, unused=best.unused, links=links
        )
    return Translation(
        best.sql,
        confidence,
        shown[0].reading,
        candidates=shown,
        assumptions=tuple(assumptions(best.tree)),
        unused=best.unused,
        links=links,
    )


def _links(question: str, linker: Linker) -> tuple[Link, ...]:
    found = []
    for ref in linker.refs(tokenize(question)):
        meanings: list[tuple[str, float]] = [(str(t), score) for t, score in ref.tables[:2]]
        meanings += [(str(column), score) for column, score in ref.columns[:2]]
        meanings += [(f"{column} = {value!r}", 1.0) for column, value in ref.values[:2]]
        found += [Link(ref.text, meaning, round(score, 2)) for meaning, score in meanings]
    return tuple(found)
