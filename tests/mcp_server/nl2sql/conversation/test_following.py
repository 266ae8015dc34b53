"""A question may build on the last answer, whoever wrote its query; a correction teaches."""

from typing import Any

import pytest

from mcp_server.nl2sql import SemanticLayer, Translator
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.model.language_model import Message
from tests.mcp_server.nl2sql.conftest import filled

YARD = """
create table port (port_id int primary key, name text not null, country text not null);
create table crew (crew_id int primary key, full_name text not null, rating text not null,
  joined_on date not null, port_id int references port);
create table job (job_id int primary key, crew_id int not null references crew,
  opened_on date not null, closed_on date, hours int not null, state text not null);
insert into port values (1, 'Bergen', 'Norway'), (2, 'Turku', 'Finland'), (3, 'Narvik', 'Norway');
insert into crew values (1, 'Ada', 'rigger', '2019-01-01', 1), (2, 'Bo', 'welder', '2020-05-05', 1),
  (3, 'Cy', 'rigger', '2021-07-07', 2), (4, 'Di', 'painter', '2018-02-02', 3);
insert into job values
  (1, 1, '2022-01-10', '2023-01-05', 5, 'done'), (2, 1, '2022-06-01', '2022-06-09', 20, 'done'),
  (3, 2, '2023-02-02', '2023-03-03', 7, 'done'), (4, 3, '2023-05-05', null, 12, 'stuck'),
  (5, 3, '2023-09-09', '2023-09-10', 1, 'done'), (6, 4, '2022-11-11', '2023-01-01', 9, 'stuck');
analyze;
"""
RIGGERS = ("How many riggers are there?", "select count(*) from crew where rating = 'rigger'")
CREW = ("List the crew.", "select full_name, rating from crew")
OF_2022 = (
    "Jobs opened in 2022",
    "select job_id from job where extract(year from opened_on) = 2022",
)
HOURS = (
    "Total hours by rating",
    "select c.rating, sum(j.hours) from job as j join crew as c on j.crew_id = c.crew_id "
    "group by c.rating",
)
LONG = ("Jobs of more than 8 hours", "select job_id, hours from job where hours > 8")
AVERAGE = ("Average hours of jobs", "select avg(hours) from job")
RANKED = (
    "Rank the crew by date",
    "select full_name, rank() over (order by joined_on) from crew",
)
SORTED = ("Crew by rating", "select distinct full_name, rating from crew order by rating")
BERGEN = (
    "Who is from Bergen?",
    "select t1.full_name from crew as t1 join port as t2 on t1.port_id = t2.port_id "
    "where t2.name = 'Bergen'",
)


@pytest.fixture(scope="module")
def yard(module_dsn: str) -> str:
    return filled(module_dsn, YARD)


def ask(dsn: str, question: str, *context: tuple[str, str]) -> list[tuple[Any, ...]]:
    answer = Asker(dsn).ask(question, context=context)
    assert answer.sql is not None, (answer.reason, answer.alternatives)
    assert answer.follows
    return [tuple(row) for row in answer.rows]


@pytest.mark.parametrize(
    ("question", "last", "found"),
    [
        # another value, another year, another bound
        ("and welders?", RIGGERS, [(1,)]),
        ("What about painters?", RIGGERS, [(1,)]),
        ("and in Turku?", BERGEN, [("Cy",)]),
        ("how about Narvik", BERGEN, [("Di",)]),
        ("same but for 2023", OF_2022, [(3,), (4,), (5,)]),
        ("and over 10?", LONG, [(2, 20), (4, 12)]),
        # fewer rows
        ("only the riggers", CREW, [("Ada", "rigger"), ("Cy", "rigger")]),
        ("just those in Norway", CREW, [("Ada", "rigger"), ("Bo", "welder"), ("Di", "painter")]),
        ("only the stuck ones", OF_2022, [(6,)]),
        ("which of them are done?", LONG, [(2, 20)]),
        ("how many of them are stuck?", LONG, [(2,)]),
        # the same rows otherwise
        ("how many are there?", CREW, [(4,)]),
        ("How many of those?", OF_2022, [(3,)]),
        ("how many are there?", HOURS, [(3,)]),
        ("how many are there?", AVERAGE, [(6,)]),
        ("how many are there?", RANKED, [(4,)]),
        ("without the rating", SORTED, [("Ada",), ("Bo",), ("Cy",), ("Di",)]),
        ("which ones?", RIGGERS, [("Ada",), ("Cy",)]),
        ("sort that by hours", LONG, [(6, 9), (4, 12), (2, 20)]),
        ("order them by hours, highest first", LONG, [(2, 20), (4, 12), (6, 9)]),
        ("sort by the date it was opened in descending order", OF_2022, [(6,), (2,), (1,)]),
        ("only the top 1", HOURS, [("rigger", 38)]),
        ("just the first two", LONG, None),
        ("which one has the most?", HOURS, [("rigger", 38)]),
        ("who has the fewest?", HOURS, [("welder", 7)]),
        # other columns, groups, measures
        ("also show the date they joined", CREW, None),
        ("without the rating", CREW, [("Ada",), ("Bo",), ("Cy",), ("Di",)]),
        ("without the filter", LONG, None),
        ("by country instead", HOURS, [("Finland", 13), ("Norway", 41)]),
        ("and per year?", HOURS, [(2022, 34), (2023, 20)]),
        ("and annually?", HOURS, [(2022, 34), (2023, 20)]),
        ("use the average instead", HOURS, [("painter", 9.0), ("rigger", 9.5), ("welder", 7.0)]),
    ],
)
def test_a_follow_up_changes_a_part_of_the_last_query(
    yard: str, question: str, last: tuple[str, str], found: list[tuple[Any, ...]] | None
) -> None:
    rows = ask(yard, question, last)
    if found is None:
        assert len(rows) == {"just the first two": 2, "without the filter": 6}.get(question, 4)
    elif "sort" in question or "order" in question:
        assert rows == found
    else:
        assert sorted(map(str, rows)) == sorted(map(str, found))


def test_a_conversation_goes_on(yard: str) -> None:
    asker = Asker(yard)
    context: list[tuple[str, str]] = []
    for question, rows in [
        ("How many crew are there?", ((4,),)),
        ("only the riggers", ((2,),)),
        ("which ones are they?", (("Ada",), ("Cy",))),
        ("and welders?", (("Bo",),)),
        ("how many jobs are there?", ((6,),)),
    ]:
        answer = asker.ask(question, context=context)
        assert answer.rows == rows, question
        context.append((question, str(answer.sql)))


def test_a_whole_question_stands_for_itself(yard: str) -> None:
    answer = Asker(yard).ask("How many ports are in Norway?", context=[CREW])
    assert answer.rows == ((2,),)
    assert not answer.follows


def test_what_a_follow_up_says_is_in_the_query_or_it_is_declined(yard: str) -> None:
    for question in ("and the grumpy ones?", "sort that by shoe size", "only those on Mars"):
        answer = Asker(yard).ask(question, context=[CREW])
        assert answer.sql is None, question


def test_a_join_that_repeats_rows_is_not_made(yard: str) -> None:
    """A port has many crew: to sort it by the rating of one has no meaning."""
    ports = ("List the ports.", "select name from port")
    assert Asker(yard).ask("sort that by rating", context=[ports]).sql is None


def test_no_row_goes_because_it_has_none_of_what_is_shown_or_sorted_by(fresh_dsn: str) -> None:
    dsn = filled(fresh_dsn, f"{YARD} insert into crew values (5, 'Ed', 'cook', '2022-02-02', null)")
    crew = ("List the crew.", "select full_name from crew")
    assert sorted(map(str, ask(dsn, "also show their port", crew)))[-1] == "('Ed', None)"
    assert ask(dsn, "sort them by port", crew)[2:] == [("Di",), ("Cy",), ("Ed",)]


@pytest.mark.parametrize(
    "question",
    ["top {}", "the top {} jobs by hours", "jobs of more than {} hours", "jobs of {}k hours",
     "jobs opened in the last {} years", "moving average of hours over {} months"],
)  # fmt: skip
def test_a_number_of_any_length_is_declined_at_worst(yard: str, question: str) -> None:
    Asker(yard).ask(question.format("1" * 5000), context=[LONG])


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select 1; drop table job", ()),
        ("delete from job", ()),
        ("select * from pg_authid", ()),
        ("select pg_sleep(1) from job", ((6,),)),  # its rows are counted, and nothing is shown
        ("not even sql (", ()),
        ("with j as (select * from job) select * from j", ()),
        ("select * from (select hours from job) as x", ()),
    ],
)
def test_a_context_is_nothing_that_is_trusted(
    yard: str, sql: str, rows: tuple[tuple[int, ...], ...]
) -> None:
    answer = Asker(yard).ask("how many are there?", context=[("something", sql)])
    assert answer.rows == rows
    assert "pg_" not in (answer.sql or "")
    assert Asker(yard).ask("How many jobs are there?").rows == ((6,),)


def test_a_correction_teaches(fresh_dsn: str) -> None:
    dsn = filled(fresh_dsn, YARD)
    question = "Jobs in 2023"
    wrong = (question, "select job_id from job where extract(year from opened_on) = 2023")
    answer = Asker(dsn).ask("no, by the closing date", context=[wrong])
    assert sorted(answer.rows) == [(1,), (3,), (5,), (6,)]
    assert answer.teaches == (question, answer.sql)

    # What is put right is a part of a question then, and says nothing by itself.
    longer = [wrong, ("and in 2022?", wrong[1].replace("2023", "2022"))]
    later = Asker(dsn).ask("no, by the closing date", context=longer)
    assert later.sql is not None
    assert (later.teaches, later.follows) == (None, True)

    layer = SemanticLayer(dsn)
    layer.teach(*answer.teaches)
    again = Asker(dsn).ask("jobs in 2022")
    assert again.origin == "solved"
    assert again.rows == ((2,),)


def test_no_lesson_is_in_what_is_no_correction(yard: str) -> None:
    assert Asker(yard).ask("and welders?", context=[RIGGERS]).teaches is None


class Listens:
    def __init__(self) -> None:
        self.heard = ""

    async def complete(self, messages: list[Message], n: int, timeout: float) -> list[str]:
        self.heard += "\n".join(message.content for message in messages)
        return ["```sql\nselect count(*) from crew where rating = 'welder'\n```"]


def test_a_model_is_told_what_was_asked_before(yard: str) -> None:
    model = Listens()
    answer = Asker(yard, model=model).ask("and welders?", context=[RIGGERS])
    assert f"Asked before: {RIGGERS[0]}" in model.heard
    assert RIGGERS[1] in model.heard
    assert answer.rows == ((1,),)
    assert answer.agreement


def test_the_translator_says_what_it_made_of_it(yard: str) -> None:
    found = Translator(yard).translate("and welders?", context=[RIGGERS])
    assert found.follows
    assert found.reading == "The number of crews where rating is 'welder'."
