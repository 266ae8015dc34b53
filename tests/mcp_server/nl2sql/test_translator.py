"""Questions to a small library, and the rows that their SQL finds."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from mcp_server.nl2sql import Translation, Translator
from mcp_server.nl2sql import translator as translator_module
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.database import lending
from mcp_server.nl2sql.database.reader import Reader
from tests.mcp_server.nl2sql.conftest import filled
from tests.waiting import wait_until

LIBRARY = """
create table branch (branch_id int primary key, name text not null, city text, opened int);
create table member (
  member_id int primary key, name text not null, age int, sex text,
  branch_id int references branch);
create table book (
  book_id int primary key, title text not null, pages int, price numeric(6, 2),
  is_signed boolean, published date);
create table loan (
  loan_id int primary key, member_id int references member, book_id int references book,
  days int);
insert into branch values
  (1, 'North', 'Oslo', 1990), (2, 'South', 'Oslo', 2005), (3, 'Harbour', 'Bergen', 2010),
  (4, 'Hill', 'Tromso', 2015);
insert into member values
  (1, 'Ann', 31, 'F', 1), (2, 'Ben', 17, 'M', 1), (3, 'Cleo', 64, 'F', 2),
  (4, 'Dag', 45, 'M', 3), (5, 'Eva', 28, 'F', 1), (6, 'Finn', 52, 'M', 3);
insert into book values
  (1, 'Winter', 320, 12.50, true, '2001-03-01'), (2, 'Ferry', 150, 8.00, false, '2010-06-15'),
  (3, 'Granite', 480, 30.00, true, '2018-09-30'), (4, 'Moss', 210, 9.90, false, '2020-01-20');
insert into loan values
  (1, 1, 1, 10), (2, 1, 2, 5), (3, 2, 1, 21), (4, 3, 3, 14), (5, 5, 1, 7), (6, 3, 2, 3);
analyze;
"""


@pytest.fixture(scope="module")
def library(module_dsn: str) -> str:
    return filled(module_dsn, LIBRARY)


@pytest.fixture(scope="module")
def translator(library: str) -> Translator:
    return Translator(library)


def rows(dsn: str, found: Translation) -> list[tuple[Any, ...]]:
    assert found.sql is not None, found.reason
    with psycopg.connect(dsn) as conn:
        return conn.execute(found.sql.encode()).fetchall()


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    ("How many members are there?", [(6,)]),
    ("What are the names of the branches in Oslo?", [("North",), ("South",)]),
    ("List the titles of books sorted by pages in descending order.",
     [("Granite",), ("Winter",), ("Moss",), ("Ferry",)]),
    ("What is the average age of members?", [(39.5,)]),
    ("What is the minimum and maximum price of books?", [(8.0, 30.0)]),
    ("Which members are older than 50?", [("Cleo",), ("Finn",)]),
    ("Show the name of the youngest member.", [("Ben",)]),
    ("What are the titles of the 2 most expensive books?", [("Granite",), ("Winter",)]),
    ("How many members are there in each branch?", [("Harbour", 2), ("North", 3), ("South", 1)]),
    ("What is the name of the branch with the most members?", [("North",)]),
    ("Which branches have at least 2 members?", [("Harbour",), ("North",)]),
    ("What are the names of members without any loan?", [("Dag",), ("Finn",)]),
    ("Which books were never loaned?", [("Moss",)]),
    ("List the names of members who are older than the average.",
     [("Cleo",), ("Dag",), ("Finn",)]),
    ("How many signed books are there?", [(2,)]),
    ("What are the titles of books with between 200 and 400 pages?", [("Moss",), ("Winter",)]),
    ("How many different cities are there?", [(3,)]),
    ("What are the names of female members?", [("Ann",), ("Cleo",), ("Eva",)]),
    ("How many branches opened after two thousand?", [(3,)]),
    # shares, arithmetic, the first of each group, agreement with another row
    ("What percentage of members are female?", [(50,)]),
    ("What percentage of books are signed?", [(50,)]),
    ("What is the difference between the maximum and minimum price of books?", [(22,)]),
    ("Show the title of each book and the ratio of pages to price.",
     [("Ferry", 18.75), ("Granite", 16), ("Moss", 21.2121), ("Winter", 25.6)]),
    ("What is the oldest member in each branch?",
     [("North", "Ann"), ("South", "Cleo"), ("Harbour", "Finn")]),
    ("For each branch, who is the oldest member?",
     [("North", "Ann"), ("South", "Cleo"), ("Harbour", "Finn")]),
    ("What are the top 2 oldest members in each branch?",
     [("North", "Ann"), ("North", "Eva"), ("South", "Cleo"), ("Harbour", "Finn"),
      ("Harbour", "Dag")]),
    ("Which members are in the same branch as Ann?", [("Ben",), ("Eva",)]),
    ("What is the longest loan of each member?",
     [("Ann", 10), ("Ben", 21), ("Cleo", 14), ("Eva", 7)]),
    ("What is the average price of unsigned books?", [(8.95,)]),
    # dates written out
    ("Which books were published on March 1st, 2001?", [("Winter",)]),
    ("How many books were published after 30 September 2010?", [(2,)]),
    ("Which books were published in January 2020?", [("Moss",)]),
    ("books published per year", [(2001, 1), (2010, 1), (2018, 1), (2020, 1)]),
    # few words
    ("number of members by branch", [("North", 3), ("South", 1), ("Harbour", 2)]),
    ("members and their branches",
     [("Ann", "North"), ("Ben", "North"), ("Cleo", "South"), ("Dag", "Harbour"), ("Eva", "North"),
      ("Finn", "Harbour")]),
    ("members who are older than Dag", [("Cleo",), ("Finn",)]),
    ("top 2 members by number of loans", [("Ann",), ("Cleo",)]),
    # sets
    ("What are the names of members who borrowed both Winter and Ferry?", [("Ann",)]),
    ("Which members have loans of Winter but not of Ferry?", [("Ben",), ("Eva",)]),
    # nested
    ("Which members are younger than the average age of female members?",
     [("Ann",), ("Ben",), ("Eva",)]),
    ("What are the titles of books that cost more than the average price?", [("Granite",)]),
    ("How many members have at least 2 loans?", [(2,)]),
    ("Who are the members with more than one loan?", [("Ann",), ("Cleo",)]),
    # words for what is stored otherwise
    ("Show the name of the membres in the Harbor branch", [("Dag",), ("Finn",)]),
    ("Show the members of branch 3.", [("Dag",), ("Finn",)]),
    ("What is the shortest book?", [("Ferry",)]),
    ("Names of members whose name starts with 'A'", [("Ann",)]),
    ("Name the members aged 31 or 45.", [("Ann",), ("Dag",)]),
    ("Which branches opened between 2000 and 2012?", [("Harbour",), ("South",)]),
    ("Show all information about branches.",
     [(1, "North", "Oslo", 1990), (2, "South", "Oslo", 2005), (3, "Harbour", "Bergen", 2010),
      (4, "Hill", "Tromso", 2015)]),
]  # fmt: skip


@pytest.mark.parametrize(("question", "expected"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_a_plain_question_finds_the_rows_that_it_asks_for(
    library: str,
    translator: Translator,
    question: str,
    expected: list[tuple[Any, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = [
        tuple(sorted(map(plain, row))) for row in rows(library, translator.translate(question))
    ]

    assert not caplog.records, "a reading failed"
    wanted = [tuple(sorted(map(plain, row))) for row in expected]
    if "sorted" in question:
        assert found == wanted
    else:
        assert sorted(found) == sorted(wanted)


def test_every_query_of_the_translator_passes_the_guard(
    library: str, translator: Translator
) -> None:
    asker = Asker(library, translator=translator)

    for question, expected in ANSWERS:
        answer = asker.ask(question)
        assert len(answer.rows) == len(expected), (question, answer.reason)


def plain(value: Any) -> str:
    """A number of any type, or a text, in a form that compares."""
    return value if isinstance(value, str) else f"{float(value):.4f}"


def test_the_reading_is_made_from_the_sql_and_says_what_it_assumes(translator: Translator) -> None:
    found = translator.translate("What is the name of the youngest member?")

    assert "age" in found.reading
    assert found.candidates[0].sql == found.sql
    assert 0.5 <= found.confidence <= 1


def test_explain_shows_what_the_words_were_taken_for(translator: Translator) -> None:
    question = "How many members are from the branch North?"

    assert translator.translate(question).links == ()
    meanings = {link.meaning for link in translator.translate(question, explain=True).links}

    assert {"member", "branch.name = 'North'"} <= meanings


def test_words_that_play_no_part_in_the_sql_are_reported(translator: Translator) -> None:
    found = translator.translate("How many members wear spectacles?")

    assert "spectacles" in found.unused


def test_a_value_is_found_whatever_its_case_and_quoted_as_it_is_stored(
    library: str, translator: Translator
) -> None:
    assert rows(library, translator.translate("How many branches are in OSLO?")) == [(2,)]


def test_a_quotation_mark_in_the_question_stays_inside_the_literal(
    library: str, translator: Translator
) -> None:
    hostile = 'Which branches have the city "x\'; drop table branch; --"?'

    found = translator.translate(hostile)

    if found.sql is not None:
        assert rows(library, found) == []
    with psycopg.connect(library) as conn:
        assert conn.execute("select count(*) from branch").fetchone() == (4,)


def test_a_table_made_after_the_first_question_is_known_to_the_next(fresh_dsn: str) -> None:
    translator = Translator(filled(fresh_dsn, LIBRARY))
    translator.translate("How many members are there?")
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create table poster (poster_id int primary key, motif text)")
        conn.execute("insert into poster values (1, 'whale'), (2, 'crane')")

    assert rows(fresh_dsn, translator.translate("How many posters are there?")) == [(2,)]


def test_names_that_need_quotes_are_quoted(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute('create table "Order" ("Id" int primary key, "group" text, "Ship To" text)')
        conn.execute("insert into \"Order\" values (1, 'a', 'Rome'), (2, 'b', 'Lima')")

    found = Translator(fresh_dsn).translate("How many orders are there?")

    assert rows(fresh_dsn, found) == [(2,)]


def test_columns_that_the_role_may_not_read_are_not_used(library: str) -> None:
    role = "reader_of_" + psycopg.conninfo.conninfo_to_dict(library)["dbname"]
    with psycopg.connect(library, autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        admin.execute(
            sql.SQL("grant select (member_id, name) on member to {}").format(sql.Identifier(role))
        )
    try:
        translator = Translator(psycopg.conninfo.make_conninfo(library, user=role))

        assert rows(library, translator.translate("List the names of all members.")) == [
            (name,) for name in ("Ann", "Ben", "Cleo", "Dag", "Eva", "Finn")
        ]
        found = translator.translate("What is the average age of members?")
        assert found.sql is None or "age" not in found.sql
    finally:
        with psycopg.connect(library, autocommit=True) as admin:
            admin.execute(sql.SQL("revoke all on member from {}").format(sql.Identifier(role)))
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_one_connection_serves_all_questions_and_a_lost_one_is_made_again(library: str) -> None:
    made: list[str] = []

    def dsn() -> str:
        made.append(library)
        return library

    translator = Translator(dsn)
    translator.translate("How many members are there?")
    profiled = len(made)
    translator.translate("How many books are there?")
    assert len(made) == profiled

    with psycopg.connect(library, autocommit=True) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert rows(library, translator.translate("How many books are there?")) == [(4,)]
    assert len(made) == profiled + 1
    translator.close()


def test_a_closed_translator_answers_the_next_question(library: str) -> None:
    translator = Translator(library)
    translator.translate("How many books are there?")
    translator.close()

    assert rows(library, translator.translate("How many books are there?")) == [(4,)]


def test_a_translator_that_is_used_in_a_block_leaves_no_connection_behind(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lending, "IDLE_SECONDS", 600)
    dsn = make_conninfo(library, application_name="in a block")
    with psycopg.connect(library, autocommit=True) as watcher:

        def connected() -> int:
            found = watcher.execute(
                "select count(*) from pg_stat_activity where application_name = 'in a block'"
            ).fetchone()
            assert found is not None
            return int(found[0])

        with Translator(dsn) as translator:
            translator.translate("How many books are there?")
            assert connected() == 1
        wait_until(lambda: connected() == 0)


def test_a_query_that_is_slow_is_answered_without_waiting_for_its_rows(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = replace(translator_module.PROBE.limits, timeout=0.25)
    monkeypatch.setattr(translator_module, "PROBE", Reader("", limits=impatient))
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(
            "create view tortoise as select 1 as id, 'Tuga' as name "
            "from (select count(*) as n from generate_series(1, 5000000)) steps where n > 0"
        )

    found = Translator(fresh_dsn).translate("How many tortoises are there?")

    assert [candidate for candidate in found.candidates if "tortoise" in candidate.sql]


def test_a_translator_writes_nothing(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create table visit (id int)")
        conn.execute(
            "create function note() returns int language sql as"
            " 'insert into visit values (1) returning id'"
        )
        conn.execute("create view otter as select note() as id, 'Lutra' as name")

    Translator(fresh_dsn).translate("What are the names and ids of otters?")

    with psycopg.connect(fresh_dsn) as conn:
        assert conn.execute("select count(*) from visit").fetchone() == (0,)


def test_bounds_that_are_parts_of_dates_are_not_bounds_of_a_column(
    translator: Translator, caplog: pytest.LogCaptureFixture
) -> None:
    translator.translate("Which members joined between 2007/2/22 and 2016/4/21?")

    assert not caplog.records


def test_a_mistake_in_the_grammar_declines_the_question_and_is_reported(
    translator: Translator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("mcp_server.nl2sql.choosing.candidates.analyse", mistaken)

    found = translator.translate("How many members are there?")

    assert found.sql is None
    assert "the reading of a question failed" in caplog.text


@pytest.mark.parametrize(
    ("question", "evidence", "expected"),
    [
        ("List the titles of heavy books", "heavy means pages > 300", [("Granite",), ("Winter",)]),
        ("How many veterans are there?", "a veteran refers to age > 40", [(3,)]),
        ("Which branches are old?", "old means opened < 2000", [("North",)]),
    ],
)
def test_evidence_says_what_words_stand_for(
    translator: Translator, library: str, question: str, evidence: str, expected: list[Any]
) -> None:
    without, found = translator.translate(question), translator.translate(question, evidence)
    assert without.sql != found.sql
    assert sorted(rows(library, found)) == expected
