"""Readings and assumptions are made from the SQL, so each is held against SQL alone."""

from pathlib import Path

import pytest

from mcp_server.nl2sql.database.guard.checks import tree as parsed
from mcp_server.nl2sql.sql.assumptions import assumptions
from mcp_server.nl2sql.sql.paraphrase import reading
from mcp_server.nl2sql.sql.paraphrase_expressions import humanise, plural, singular

READINGS = {
    "select count(*) from sailor": "The number of sailors.",
    "select name, age from sailor where age > 20 order by age desc limit 3": (
        "The name and age of sailors where age is greater than 20, the 3 with the highest age."
    ),
    "select name from sailor order by name": "The name of sailors, sorted by name (lowest first).",
    "select name from sailor order by age desc fetch first 1 rows with ties": (
        "The name of sailors, all with the highest age."
    ),
    "select name from sailor order by 1 desc, age limit 1": (
        "The name of sailors, the one with the highest name, then age (lowest first)."
    ),
    "select distinct country from sailor": "The different values of country of sailors.",
    "select * from sailor limit 5": "All columns of sailors, any 5 of them.",
    "select * from sailor order by age limit 5 offset 10": (
        "All columns of sailors, sorted by age (lowest first), after the first 10, only 5 of them."
    ),
    "select country, avg(age) from sailor group by country having count(*) >= 2": (
        "The country and the average age of sailors, for each country where the number of sailors "
        "is at least 2."
    ),
    "select country, count(*) from sailor group by 1 order by 2 desc limit 1": (
        "The country and the number of sailors, for each country, the one with the highest number "
        "of sailors."
    ),
    "select country, 100.0 * sum(age) / sum(sum(age)) over () from sailor group by country": (
        "The country and (100.0 times the total age) divided by the sum of the total age over all "
        "groups of sailors, for each country."
    ),
    "select count(distinct country) from sailor": (
        "The number of different values of country of sailors."
    ),
    "select s.name, c.year from sailor s join voyage c on c.sailor_id = s.id": (
        "The sailor name and voyage year of sailors with their voyages "
        "(voyage sailor id is sailor id)."
    ),
    "select s.name from sailor s left join voyage c on c.sailor_id = s.id where c.id is null": (
        "The sailor name of sailors without any voyage (voyage sailor id is sailor id)."
    ),
    "select s.name from sailor s left join voyage c on c.sid = s.id where c.id is not null": (
        "The sailor name of sailors, with voyages where there are any (voyage sid is sailor id) "
        "where voyage id is known."
    ),
    "select s.name, c.year from sailor s left join voyage c using (id)": (
        "The sailor name and voyage year of sailors, with voyages where there are any (same id)."
    ),
    "select a.x from a cross join b": "The a x of as combined with all bs.",
    "select name from sailor where id not in (select sailor_id from voyage)": (
        "The name of sailors where id is not among (the sailor id of voyages)."
    ),
    "select name from sailor s where not exists (select 1 from voyage c where c.sid = s.id)": (
        "The name of sailors where there are no voyages where voyage sid is sailor id."
    ),
    "select name from sailor where age > (select avg(age) from sailor)": (
        "The name of sailors where age is greater than (the average age of sailors)."
    ),
    "select a.name from person a join person b on a.boss_id = b.id where a.pay > b.pay": (
        "The first person name of first persons with their second persons (first person boss id is "
        "second person id) where first person pay is greater than second person pay."
    ),
    "select name from a union select name from b": (
        "The name of as, together with the name of bs."
    ),
    "select name from a union all select name from b limit 2": (
        "The name of as, together with the name of bs, repeats kept, any 2 of them."
    ),
    "select name from a intersect select name from b": (
        "What is both in (the name of as) and in (the name of bs)."
    ),
    "select name from a except select name from b": (
        "The name of as, but not what is in (the name of bs)."
    ),
    "select name from s where (age < 20 or age >= 60) and not country = 'Chad'": (
        "The name of s where (age is less than 20 or age is at least 60) and country is not 'Chad'."
    ),
    "select name from s where not (age < 20 and tall)": (
        "The name of s where age is at least 20 or tall is false."
    ),
    "select name from s where name like 'A%' and name not like '%b%' and name ilike '%c'": (
        "The name of s where name starts with 'A' and name does not contain 'b' and name ends with "
        "'c' (in any case)."
    ),
    "select name from s where name like 'a_c%'": (
        "The name of s where name matches the pattern 'a_c%'."
    ),
    "select name from s where lower(name) = 'anna'": (
        "The name of s where name is 'anna' (in any case)."
    ),
    "select name from s where age between 2 and 3 and x not between 4 and 5": (
        "The name of s where age is between 2 and 3 and x is not between 4 and 5."
    ),
    "select name from s where city in ('Rome', 'Oslo') and b is null and c is not null": (
        "The name of s where city is one of 'Rome' or 'Oslo' and b is missing and c is known."
    ),
    "select name from s where born >= '1990-01-01' and born < date '2000-01-01'": (
        "The name of s where born is on or after '1990-01-01' and born is before '2000-01-01'."
    ),
    "select name from s where age > all (select age from t)": (
        "The name of s where age is greater than every one of (the age of ts)."
    ),
    "select 100.0 * sum(case when age > 20 then 1 else 0 end) / nullif(count(*), 0) from sailor": (
        "(100.0 times the number of sailors where age is greater than 20) divided by the number of "
        "sailors."
    ),
    "select case when age > 60 then 'old' else 'young' end from sailor": (
        "'old' where age is greater than 60, 'young' otherwise of sailors."
    ),
    "select extract(year from born), count(*) from sailor group by 1": (
        "The year of born and the number of sailors, for each year of born."
    ),
    "select name from sailor where extract(year from age(born)) > 40": (
        "The name of sailors where the number of years since born is greater than 40."
    ),
    "select name from sailor where sailor.age > (select other.age from sailor as other "
    "where other.id = sailor.captain_id)": (
        "The name of sailors where age is greater than (the other sailor age of other sailors "
        "where other sailor id is sailor captain id)."
    ),
    "select to_char(born, 'YYYY-MM') from sailor": "The born written as 'YYYY-MM' of sailors.",
    "select name from (select name as name, rank() over (partition by country order by age desc) "
    "as place from sailor) as ranked where place <= 2": (
        "The name of sailors, the first 2 within each country by age (highest first)."
    ),
    "select name from (select name, rank() over (order by age) as place from sailor) as ranked "
    "where place <= 1": "The name of sailors, the first by age (lowest first).",
    "select 100.0 * count(*) filter (where age > 30) / nullif(count(*), 0) from sailor": (
        "(100.0 times the number of sailors where age is greater than 30) divided by the number of "
        "sailors."
    ),
    "select rank() over (partition by country order by age desc) from sailor": (
        "The rank within each country by age (highest first) of sailors."
    ),
    "with old as (select * from sailor where age > 60) select count(*) from old": (
        "The number of olds; where olds are: all columns of sailors where age is greater than 60."
    ),
    "select max(n) from (select count(*) as n from sailor group by country) t": (
        "The highest n of (the number of sailors, for each country)."
    ),
    "select exists (select 1 from sailor where age > 90)": (
        "Whether there are sailors where age is greater than 90."
    ),
    "select distinct on (country) country, name from sailor": (
        "Country and name, one for each country, of sailors."
    ),
    "select name from item order by embedding <-> '[1,2]' limit 3": (
        "The name of items, the 3 with the lowest distance of embedding from '[1,2]'."
    ),
    "select upper(name) as name from sailor order by name": (
        "The name in upper case of sailors, sorted by name in upper case (lowest first)."
    ),
    "select * from rows from (generate_series(1, 2))": (
        "All columns of ROWS FROM (GENERATE_SERIES(1, 2))."
    ),
    "select 1": "1.",
    "values (1), (2)": "2 given rows.",
}


@pytest.mark.parametrize("sql", READINGS)
def test_a_query_reads_in_plain_words(sql: str) -> None:
    assert reading(sql) == READINGS[sql]


def test_different_conditions_never_read_the_same() -> None:
    """A reading that drops a part of the query would hide a wrong answer."""
    template = "select name from sailor where {}"
    conditions = [
        *("age = 1", "age <> 1", "age > 1", "age >= 1", "age < 1", "age <= 1", "age is null"),
        *("age is not null", "age = 1 and id = 2", "age = 1 or id = 2", "not (age = 1 and id = 2)"),
        *("name like 'a%'", "name like '%a'", "name like '%a%'", "name = 'a'", "name like 'a_'"),
        *("name ilike 'a%'", "name not like 'a%'", "age in (1, 2)", "age not in (1, 2)"),
        *("age between 1 and 2", "age not between 1 and 2", "exists (select 1 from b)"),
        *(
            "not exists (select 1 from b)",
            "age in (select x from b)",
            "age not in (select x from b)",
        ),
        *("age = any (select x from b)", "age = all (select x from b)", "age = (select x from b)"),
        *("age = 1 and (id = 2 or id = 3)", "(age = 1 and id = 2) or id = 3", "true", "false"),
        *("name ~ 'a'", "name !~ 'a'", "age = 1 + 2 * 3", "age = (1 + 2) * 3", "age = - 1"),
    ]
    readings = [reading(template.format(condition)) for condition in conditions]
    assert len(set(readings)) == len(conditions)


def test_every_query_that_the_guard_passes_has_a_reading_of_one_line() -> None:
    harmless = Path(__file__).parents[1] / "database" / "harmless.sql"
    lines = harmless.read_text(encoding="utf-8").splitlines()[1:]
    for sql in lines:
        tree = parsed(sql)
        text = reading(tree)
        assert text.endswith("."), sql
        assert text == " ".join(text.split()), sql
        assert len(assumptions(tree)) <= 5
        assert tree == parsed(sql), "reading must not change the tree"


ASSUMPTIONS = {
    "select name from s order by age limit 1": ["If several share the first place, only one"],
    "select name from s order by age limit 3": ["If several share place 3, not all of them"],
    "select name from s limit 3": ["No order was asked for"],
    "select name from s": [],
    "select name from s where city = 'Rome'": ["Text is compared exactly"],
    "select name from s where code = '12'": [],
    "select name from s where age <> 3": ["Rows where age is missing are left out."],
    "select avg(age) from s": ["Rows where age is missing do not count in the average."],
    "select name from s where id not in (select sid from t)": ["If a value of sid is missing"],
    "select s.name from s join t on t.sid = s.id": ["Only s that have a matching t are taken in."],
    "select count(*) from s join voyage on voyage.sid = s.id": [
        "Only s that have a matching voyage",
        "A s counts once for each matching voyage.",
    ],
    "select name from s where d = current_date": ["Today is what the database's clock says."],
}


@pytest.mark.parametrize("sql", ASSUMPTIONS)
def test_what_a_query_takes_for_granted_is_said(sql: str) -> None:
    found = assumptions(sql)
    assert len(found) == len(ASSUMPTIONS[sql])
    for sentence, start in zip(found, ASSUMPTIONS[sql], strict=True):
        assert sentence.startswith(start)


@pytest.mark.parametrize(
    ("one", "many"),
    [("sailor", "sailors"), ("city", "cities"), ("box", "boxes"), ("day", "days"),
     ("class", "classes"), ("campus", "campuses"), ("order item", "order items")],
)  # fmt: skip
def test_nouns_have_both_numbers(one: str, many: str) -> None:
    assert plural(one) == many
    assert singular(many) == one


def test_names_are_read_as_words() -> None:
    assert humanise("first_launch_year") == "first launch year"
    assert humanise("FirstLaunchYear") == "first launch year"
    assert humanise("Venue Name") == "venue name"
