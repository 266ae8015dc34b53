"""Learning from use: what is kept, what is not, and when it answers."""

from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from mcp_server.nl2sql import solved
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.database.steps import run
from mcp_server.nl2sql.errors import ForbiddenError, NL2SQLError
from mcp_server.nl2sql.solved import LearningDisabledError, Template, fill, grams, mask


class Declines:
    """A built-in translator that knows nothing."""

    sql, confidence, reason = None, 0.0, "no reading fits"
    candidates: tuple[Any, ...] = ()
    assumptions = unused = links = candidates
    follows = corrects = about_schema = False

    def translate(self, question: str, evidence: str | None = None, explain: bool = False) -> Any:
        return self


QUESTION = "How many customers live in Rome?"
SQL = "select count(*) from customer where city = 'Rome'"


@pytest.fixture
def asker(own_shop: str) -> Asker:
    asker = Asker(own_shop, translator=Declines())
    asker.enable_learning()
    return asker


def kept(dsn: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as conn:
        return conn.execute("select question, sql, accepted from borealis_nl2sql.solved").fetchall()


def test_nothing_is_kept_before_somebody_enables_it(shop: str) -> None:
    asker = Asker(shop, translator=Declines())
    with pytest.raises(LearningDisabledError, match="not enabled"):
        asker.accept(QUESTION, SQL)
    asker.ask(QUESTION)
    with psycopg.connect(shop) as conn:
        assert conn.execute("select to_regnamespace('borealis_nl2sql')").fetchone() == (None,)


def test_an_accepted_question_is_answered_from_then_on(asker: Asker) -> None:
    assert asker.ask(QUESTION).sql is None
    asker.accept(QUESTION, SQL)
    answer = asker.ask("how many customers  live in Rome")
    assert (answer.rows, answer.origin) == (((10,),), "solved")
    assert answer.confidence > 0.9


def test_the_same_question_about_another_value_is_answered_too(asker: Asker) -> None:
    asker.accept(QUESTION, SQL)
    answer = asker.ask("How many customers live in Oslo?")
    assert answer.rows == ((10,),)
    assert "'Oslo'" in (answer.sql or "")


def test_numbers_and_patterns_are_values_too(asker: Asker) -> None:
    asker.accept(
        "purchases over 65.5 by names with 'mer 1'",
        "select p.id from purchase p join customer c on c.id = p.customer_id "
        "where amount > 65.5 and name like '%mer 1%'",
    )
    answer = asker.ask("purchases over 60 by names with 'mer 2'")
    assert "amount > 60" in (answer.sql or "")
    assert "'%mer 2%'" in (answer.sql or "")
    assert answer.rows


def test_a_value_that_finds_nothing_is_not_taken_for_an_answer(asker: Asker) -> None:
    asker.accept("who lives in Rome", "select name from customer where city = 'Rome'")
    answer = asker.ask("who lives in Atlantis")
    assert answer.sql is None
    assert "finds nothing here" in answer.reason


def test_values_of_the_question_are_not_stored(asker: Asker) -> None:
    asker.accept("purchases of customer 7 over 12.34 from 'Rome'", (
        "select p.id from purchase p join customer c on c.id = p.customer_id "
        "where c.id = 7 and p.amount > 12.34 and c.city = 'Rome'"
    ))  # fmt: skip
    (row,) = kept(asker.dsn)
    for value in ("7", "12.34", "Rome"):
        assert value not in row[0]
    assert "Rome" not in row[1]
    assert "12.34" not in row[1]


def test_a_literal_that_the_question_does_not_say_stays(asker: Asker) -> None:
    asker.accept("the oldest customer", "select name from customer order by joined limit 1")
    assert asker.ask("the oldest customer").rows == (("customer 1",),)


def test_accepting_again_counts_and_a_correction_replaces(asker: Asker) -> None:
    asker.accept(QUESTION, SQL)
    asker.accept(QUESTION, SQL)
    assert [row[2] for row in kept(asker.dsn)] == [2]
    asker.accept(QUESTION, "select count(id) from customer where city = 'Rome'")
    (row,) = kept(asker.dsn)
    assert row[2] == 1
    assert "COUNT(id)" in row[1]


def test_a_pair_can_be_taken_back_and_learning_switched_off(asker: Asker) -> None:
    asker.accept(QUESTION, SQL)
    asker.forget(QUESTION, SQL)
    assert asker.ask(QUESTION).sql is None
    asker.disable_learning()
    asker.disable_learning()
    assert asker.ask(QUESTION).sql is None


def test_hostile_sql_is_neither_kept_nor_run_when_it_got_in_otherwise(asker: Asker) -> None:
    with pytest.raises(ForbiddenError):
        asker.accept(QUESTION, "delete from customer")
    with psycopg.connect(asker.dsn, autocommit=True) as conn:
        conn.execute(
            "insert into borealis_nl2sql.solved (id, question, sql, grams) "
            "values ('x', 'how many', 'delete from customer', %s)",
            (grams("how many"),),
        )
    answer = asker.ask("how many")
    assert answer.sql is None
    assert "refused" in answer.reason


@pytest.mark.parametrize(
    "made",
    [
        "create function borealis_nl2sql.trap() returns text language plpgsql as "
        "$$begin raise exception 'caught as %', current_user; end$$; "
        "create view borealis_nl2sql.solved as select 'a' as id, borealis_nl2sql.trap() question, "
        "'select 1' as sql, {grams} as grams, 1 as accepted, now() as accepted_at",
        "create table borealis_nl2sql.solved (other int)",
        "create table borealis_nl2sql.solved as select 'a' as id, q as question, s as sql, "
        "{grams} as grams, 1 as accepted from (values ('how many stray', 'select ('), "
        "('{{01}} {{1}} stray', 'select 1'), ('{{" + "1" * 5000 + "}} stray', 'select 1'), "
        "('" + " ".join(f"{{{{{n}}}}}" for n in range(1, 40)) + " x', 'select 1')) v (q, s)",
    ],
)
def test_what_somebody_put_in_its_place_runs_nothing_and_stops_no_question(
    own_shop: str, made: str
) -> None:
    question = "how many stray " + "customers " * 30
    told = f"array{grams(question)}::int[]"
    with psycopg.connect(own_shop, autocommit=True) as conn:
        conn.execute("create schema borealis_nl2sql")
        conn.execute(made.format(grams=told))
    for each in (question, "how many stray"):
        assert Asker(own_shop, translator=Declines()).ask(each).reason == "no reading fits"


TRAP = """
create table caught (who text);
create function trap() returns int language sql as
    'insert into public.caught values (current_user); select 1';
create function trap_row() returns trigger language plpgsql as
    'begin perform public.trap(); return new; end';
"""
SET_BY_ANOTHER = """
create schema borealis_nl2sql;
create table borealis_nl2sql.solved (id text primary key, question text, sql text, grams int[],
    accepted int default 1, accepted_at timestamptz default now());
"""
HUNG_ON_IT = {
    "a trigger": "create trigger t before insert or delete on borealis_nl2sql.solved "
    "for each statement execute function trap_row()",
    "a deferred trigger": "create constraint trigger t after insert on borealis_nl2sql.solved "
    "initially deferred for each row execute function trap_row()",
    "a rule": "create rule r as on insert to borealis_nl2sql.solved do also select trap()",
    "a default": "alter table borealis_nl2sql.solved add more int default trap()",
    "a check": "alter table borealis_nl2sql.solved add check (accepted = trap())",
    "an operator in a check": "create operator public.== (leftarg = int, rightarg = int, "
    "function = int4eq); "
    "alter table borealis_nl2sql.solved add check (accepted operator(public.==) 1)",
    "a domain": "create domain caught_by as text check (trap() = 1); "
    "alter table borealis_nl2sql.solved alter question type caught_by",
    "an index": "create function trap_of(text) returns int immutable language plpgsql as "
    "'begin return public.trap(); end'; truncate borealis_nl2sql.solved; "
    "create index on borealis_nl2sql.solved (trap_of(question))",
    "a child": "create table below () inherits (borealis_nl2sql.solved); "
    "create trigger t before delete on below for each row execute function trap_row()",
    "row security": "alter table borealis_nl2sql.solved force row level security, "
    "enable row level security",
}


@pytest.mark.parametrize("hung", HUNG_ON_IT.values(), ids=HUNG_ON_IT)
def test_what_hangs_on_the_table_runs_nothing_as_the_one_who_writes(
    asker: Asker, hung: str
) -> None:
    asker.accept(QUESTION, SQL)
    with psycopg.connect(asker.dsn, autocommit=True) as conn:
        conn.execute(TRAP)
        conn.execute(hung)
        conn.execute("truncate caught")
        for write in (asker.accept, asker.forget):
            with pytest.raises(NL2SQLError, match="another role's"):
                write(QUESTION, SQL)
        assert conn.execute("select * from caught").fetchall() == []


@pytest.mark.parametrize("before", ["nothing", "an own table"])
def test_what_is_put_in_its_place_between_the_look_and_the_write_runs_nothing(
    own_shop: str, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    asker, accept = Asker(own_shop, translator=Declines()), solved.accept
    with psycopg.connect(own_shop, autocommit=True) as conn:
        conn.execute(TRAP)
        role = f"{conn.info.dbname}_swaps"
        conn.execute(f"create role {role}; grant {role} to current_user")
        conn.execute(f"grant create on database {conn.info.dbname} to {role}")
        conn.execute("grant all on schema public to public; grant all on caught to public")
        if before == "an own table":
            asker.enable_learning()

        def swapped(question: str, sql: str) -> Any:
            try:
                conn.execute(f"set role {role}; set lock_timeout = '200ms'")
                conn.execute(SET_BY_ANOTHER + HUNG_ON_IT["a trigger"])
                conn.execute("grant all on schema borealis_nl2sql to public")
                conn.execute("grant all on borealis_nl2sql.solved to public")
            except (psycopg.errors.DuplicateSchema, psycopg.errors.LockNotAvailable):
                pass
            finally:
                conn.execute("reset role")
            return (yield from accept(question, sql))

        monkeypatch.setattr(solved, "accept", swapped)
        try:
            if before == "nothing":
                with pytest.raises(LearningDisabledError):
                    asker.accept(QUESTION, SQL)
            else:
                asker.accept(QUESTION, SQL)
            assert conn.execute("select * from caught").fetchall() == []
        finally:
            conn.execute(f"drop owned by {role}; drop role {role}")


def test_operators_that_the_database_puts_first_are_not_those_of_a_write(own_shop: str) -> None:
    with psycopg.connect(own_shop, autocommit=True) as conn:
        conn.execute(
            TRAP + "create function trap(text, text) returns bool language plpgsql as "
            "'begin perform public.trap(); return true; end';"
            "create operator public.= (leftarg = text, rightarg = text, function = trap);"
            "create function public.now() returns timestamptz language sql as "
            "'select public.trap(); select null::timestamptz'"
        )
        conn.execute(f"alter database {conn.info.dbname} set search_path = public, pg_catalog")
        asker = Asker(own_shop, translator=Declines())
        asker.enable_learning()
        asker.accept(QUESTION, SQL)
        asker.accept(QUESTION, SQL)
        asker.forget(QUESTION, SQL)
        assert conn.execute("select * from caught").fetchall() == []


def test_a_role_that_may_not_create_the_schema_is_told_so(shop: str) -> None:
    with psycopg.connect(shop, autocommit=True) as admin:
        role = f"{admin.info.dbname}_guest"
        admin.execute(f"create role {role} login")
        try:
            guest = Asker(make_conninfo(shop, user=role), translator=Declines())
            with pytest.raises(NL2SQLError, match="right to create the schema"):
                guest.enable_learning()
        finally:
            admin.execute(f"drop role {role}")


def test_similar_questions_come_best_first(asker: Asker) -> None:
    asker.accept("how many customers live in Rome", SQL)
    asker.accept("how many purchases are paid", "select count(*) from purchase where paid")
    asker.accept("list the names of all customers", "select name from customer")
    with asker.reader.connect() as conn:
        found = run(conn, solved.similar("number of customers who live in Lima"))
        assert found[0].question == "how many customers live in {1}"
        assert found[0].filled is None
        exact = run(conn, solved.similar("how many purchases are paid?"))
        assert (exact[0].similarity, exact[0].filled is None) == (1.0, False)
        assert run(conn, solved.similar("completely unrelated zebra")) == []


def test_the_store_is_bounded(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solved, "MOST_PAIRS", 3)
    for word in ("ant", "bee", "cat", "dog", "elk"):
        asker.accept(f"show every {word}", "select 1")
    assert sorted(row[0] for row in kept(asker.dsn)) == [
        "show every cat",
        "show every dog",
        "show every elk",
    ]


WORDS = st.text(alphabet="abcdefgh", min_size=1, max_size=8)


@given(WORDS, st.integers(0, 10**6), WORDS, st.integers(0, 10**6))
def test_a_template_filled_with_the_values_it_was_cut_from_is_the_query_again(
    word: str, number: int, other_word: str, other_number: int
) -> None:
    def question(w: str, n: int) -> str:
        return f"ROWS WITH '{w}' ABOVE {n}"

    def query(w: str, n: int) -> str:
        return f"SELECT x FROM t WHERE y = '{w}' AND z > {n}"

    template = mask(question(word, number), query(word, number))
    assert fill(template, question(word, number)) == query(word, number)
    assert fill(template, question(other_word, other_number)) == query(other_word, other_number)


def test_a_value_cannot_break_out_of_its_string() -> None:
    template = mask("who is Anna", "SELECT x FROM t WHERE name = 'Anna'")
    filled = fill(template, "who is x' OR 'a' = 'a")
    assert filled == "SELECT x FROM t WHERE name = 'x'' OR ''a'' = ''a'"


def test_a_word_does_not_fill_the_slot_of_a_number() -> None:
    template = mask("the first 3 rows", "SELECT x FROM t LIMIT 3")
    assert fill(template, "the first 5 rows") == "SELECT x FROM t LIMIT 5"
    assert fill(template, "the first (select 9) rows") is None


def test_one_value_said_twice_must_be_the_same_both_times() -> None:
    template = Template("from {1} to {1}", "SELECT 1")
    assert fill(template, "from a to a") == "SELECT 1"
    assert fill(template, "from a to b") is None
