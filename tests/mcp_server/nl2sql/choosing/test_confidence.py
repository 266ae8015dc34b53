"""The signs that tell a query that was meant from one that was not."""

import pytest
import sqlglot
from sqlglot import exp

from mcp_server.nl2sql.choosing.candidates import Made, judge
from mcp_server.nl2sql.choosing.confidence import (
    MARGIN_MAX,
    canonical,
    score,
    signs,
    standing,
    sureness,
)
from mcp_server.nl2sql.choosing.naming import naming_signs
from mcp_server.nl2sql.choosing.results import Result, result_signs
from mcp_server.nl2sql.choosing.variants import variants
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile, Table
from mcp_server.nl2sql.words.tokens import identifier_words, tokenize


def table(name: str, *columns: str) -> Table:
    made = Table("public", name, words=identifier_words(name))
    made.columns = [
        Column(made, each, "text", Kind.TEXT, words=identifier_words(each)) for each in columns
    ]
    return made


PERSON = table("person", "person_id", "first_name", "last_name", "town")
PARCEL = table("parcel", "parcel_id", "sent_by_person_id", "received_by_person_id", "kind")
PROFILE = Profile(
    [PERSON, PARCEL],
    [ForeignKey(column, PERSON.columns[0]) for column in PARCEL.columns[1:3]],
)


def parsed(text: str) -> exp.Query:
    tree = sqlglot.parse_one(text, dialect="postgres")
    assert isinstance(tree, exp.Query)
    return tree


@pytest.mark.parametrize(
    ("question", "query", "sign"),
    [
        ("people not from Oslo", "select x from t where y = 'Oslo'", "negation asked, absent"),
        ("how many parcels per town", "select count(*) from t",
         "groups asked of a measure, no group"),
        ("the towns of people over 30", "select town from t", "compare asked, absent"),
        ("parcels with the number 7", "select x from t", "numbers lost"),
        ("how many are called Kim", "select count(distinct x) from t where x = 'Kim'",
         "counted, held equal"),
        ("the percentage of people in Rome", "select count(*) from t where x = 'Rome'",
         "percentage asked, absent"),
        ("the difference between size and weight", "select size, weight from t",
         "difference asked, absent"),
        ("town with the most number of people", "select town from t order by size desc limit 1",
         "most number asked, not counted"),
    ],
)  # fmt: skip
def test_what_a_question_asks_for_and_the_query_has_not_is_a_sign(
    question: str, query: str, sign: str
) -> None:
    assert signs(question, parsed(query))[sign] == 1.0


@pytest.mark.parametrize(
    ("question", "query", "sign"),
    [
        ("people with at least two parcels", "select x from t group by x having count(*) >= 2",
         "superlative asked, absent"),
        ("people not older than 30", "select x from t where age <= 30", "negation asked, absent"),
    ],
)  # fmt: skip
def test_bounds_are_neither_superlatives_nor_negations(
    question: str, query: str, sign: str
) -> None:
    assert signs(question, parsed(query))[sign] == 0.0


@pytest.mark.parametrize(
    ("question", "query", "sign"),
    [
        ("names that contain an x", "select x from t where y = 'like'", "like asked, absent"),
        ("names that contain an x", "select likely from t", "like asked, absent"),
        ("people not from Oslo", "select x from t where y = 'do not <> except'",
         "negation asked, absent"),
        ("the towns of people over 30", "select town from t where y = 'a > b'",
         "compare asked, absent"),
        ("the different towns", "select town from t where y = 'distinct'",
         "distinct asked, absent"),
        ("the percentage of people in Rome", "select count(*) from t where x = 'a filter'",
         "percentage asked, absent"),
        ("people from Rome or Oslo", "select x from t where y = 'Rome or Oslo'", "or, absent"),
        ("members of both clubs", "select x from t where y = 'in (select'", "both, absent"),
        ("parcels with the number 1", "select t1.x from t as t1", "numbers lost"),
        ('parcels of kind "select"', "select x from t", "quoted lost"),
    ],
)  # fmt: skip
def test_words_of_sql_in_a_value_or_a_name_are_no_part_of_the_query(
    question: str, query: str, sign: str
) -> None:
    assert signs(question, parsed(query))[sign] == 1.0


@pytest.mark.parametrize(
    ("question", "query", "sign"),
    [
        ("names that contain an x", "select x from t where y ilike '%x%'", "like asked, present"),
        ("people not from Oslo", "select x from t where y <> 'Oslo'", "negation asked, present"),
        ("people without a town", "select x from t where town is null",
         "negation asked, present"),
        ("people over 30", "select x from t where age between 31 and 99",
         "compare asked, present"),
        ("the different towns", "select count(distinct town) from t", "distinct asked, present"),
        ("the percentage of people in Rome",
         "select count(*) filter (where x = 'Rome') / count(*) from t",
         "percentage asked, present"),
    ],
)  # fmt: skip
def test_what_a_question_asks_for_and_the_query_has_is_a_sign(
    question: str, query: str, sign: str
) -> None:
    assert signs(question, parsed(query))[sign] == 1.0


@pytest.mark.parametrize(
    ("question", "meant", "other"),
    [
        ("how many parcels are there", "select count(*) from parcel", "select kind from parcel"),
        ("the different towns", "select distinct town from t", "select town from t"),
        ("people not from Oslo", "select x from t where town <> 'Oslo'",
         "select x from t where town = 'Oslo'"),
        ("parcels with the number 7", "select x from t where id = 7", "select x from t"),
        ("names that contain an x", "select x from t where x ilike '%x%'",
         "select x from t where x = 'x'"),
        ("the average size per kind", "select kind, avg(size) from t group by kind",
         "select avg(size) from t"),
        ("the total size of parcels", "select sum(size) from t", "select size from t"),
        ("the kinds sorted by size", "select kind from t order by size", "select kind from t"),
        ("the town", "select town from t", "select town, first_name, last_name from t"),
    ],
)  # fmt: skip
def test_by_its_weights_the_query_that_was_meant_stands_before_another(
    question: str, meant: str, other: str
) -> None:
    assert score(signs(question, parsed(meant))) > score(signs(question, parsed(other)))


def test_a_name_that_the_question_does_not_say_is_a_sign_and_a_synonym_says_it() -> None:
    def unheard(question: str) -> float:
        tree = parsed("select price from parcel")
        return naming_signs(tokenize(question), tree, PROFILE)["shown, unheard"]

    assert unheard("the weight of each parcel") == 1.0
    assert unheard("the cost of each parcel") == 0.0
    assert unheard("which parcel is the most expensive") == 0.0


def test_fewer_columns_than_the_question_lists_is_a_sign() -> None:
    tokens = tokenize("What are the town, kind and price of the parcels?")

    assert naming_signs(tokens, parsed("select town from t"), PROFILE)["fewer shown than listed"]
    full = naming_signs(tokens, parsed("select town, kind, price from t"), PROFILE)
    assert not full["fewer shown than listed"]


def test_an_empty_answer_is_a_sign_and_one_that_was_not_waited_for_is_none() -> None:
    def found(rows: list[tuple[object, ...]] | None, *, denied: bool = False) -> dict[str, float]:
        result = Result(rows)
        return result_signs("list the towns", result, ordered=False, joined=False, denied=denied)

    assert found([])["rows none"] == 1.0
    assert found([], denied=True)["rows none"] == 0.0
    assert found([(None,)])["rows null"] == 1.0
    assert found([("Oslo",), ("Oslo",)])["rows repeated"] == 1.0
    assert found(None) == {}


def made(query: str, **others: float) -> Made:
    tree = parsed(query)
    as_read = {"as read": 1.0, "read first": 0.0, "negation asked, present": 0.0}
    return Made(tree, tree.sql(), (), as_read | others)


def test_readings_that_find_the_same_rows_speak_for_each_other() -> None:
    def share(second: list[tuple[object, ...]]) -> float:
        one = made("select town from person")
        two = made("select distinct town from person")
        judge("the towns", [(one, Result([("Oslo",), ("Rome",)])), (two, Result(second))])
        return one.signs["share of readings"]

    assert share([("Rome",), ("Oslo",)]) == 1.0
    assert share([("Rome",)]) == 0.5


def test_the_standing_of_a_result_is_its_distance_from_the_next() -> None:
    alone, close = standing([2.0]), standing([2.0, 1.5])

    assert (alone["margin"], close["margin"]) == (MARGIN_MAX, 0.5)
    assert alone["share of all results"] == 1.0
    assert 0.5 < close["share of all results"] < 1.0


def test_of_one_result_the_query_as_it_was_read_goes_before_its_variants() -> None:
    read = made("select town from person")
    varied = made("select distinct town from person")
    del varied.signs["as read"]
    varied.signs["with distinct"] = 5.0

    assert judge("the towns", [(varied, Result([("x",)])), (read, Result([("x",)]))])[0] is read


@pytest.mark.parametrize(
    ("query", "cannot_be"),
    [
        ("select x from t where y = 'a' and y is null", 1.0),
        ("select x from t where (y = 'a' and z > 1) and y is null", 1.0),
        ("select x from t where y = 'a' and z is null", 0.0),
        ("select x from t where y = 'a' or y is null", 0.0),
        ("select x from t where y = 'a' and not y is null", 0.0),
    ],
)
def test_a_value_where_none_is_cannot_be_asked_for(query: str, cannot_be: float) -> None:
    assert signs("which x", parsed(query))["held and missing"] == cannot_be


def test_no_candidates_are_judged_to_be_none() -> None:
    assert judge("the towns", []) == []


def test_confidence_is_a_probability_that_grows_with_the_margin() -> None:
    close, clear = sureness({}, [1.0, 0.9]), sureness({}, [1.0, -3.0])

    assert 0 < close < clear < 1


def test_queries_that_differ_in_aliases_and_order_of_conditions_are_one_candidate() -> None:
    one = "select a.x from t as a where a.x = 1 and a.y = 2"
    other = "select x from t where y = 2 and x = 1"

    assert canonical(parsed(one)) == canonical(parsed(other))
    assert canonical(parsed(one)) != canonical(parsed(one.replace("2", "3")))


def test_queries_that_join_by_other_keys_are_two_candidates() -> None:
    one = "select t1.x from t as t1 join u as t2 on t1.a = t2.id"

    assert canonical(parsed(one)) != canonical(parsed(one.replace("t1.a", "t1.b")))


def test_of_keys_to_one_table_the_one_that_the_question_speaks_of_is_tried() -> None:
    query = parsed(
        "select t1.town from person as t1 join parcel as t2 on t2.sent_by_person_id = t1.person_id"
    )

    found = dict(variants(query, tokenize("towns of people who received a parcel"), PROFILE))

    assert "received_by_person_id" in found["by another key"].sql()
    assert "by another key" not in dict(
        variants(query, tokenize("towns of people who sent a parcel"), PROFILE)
    )


def test_a_group_by_a_key_is_also_tried_by_what_is_shown() -> None:
    query = parsed("select kind, count(*) from parcel group by parcel_id, kind")

    found = dict(variants(query, tokenize("number of parcels of each kind"), PROFILE))

    assert found["grouped by what is shown"].sql().endswith("GROUP BY kind")
