"""A document of semantics is read as a Cube data model, whole or not at all."""

import pytest

from mcp_server.nl2sql.errors import SemanticsError
from mcp_server.nl2sql.semantics.document import CHARACTERS_MAX, read


def problems(text: str) -> str:
    with pytest.raises(SemanticsError) as caught:
        read(text)
    return "\n".join(caught.value.problems)


def test_a_data_model_of_cubes_is_read_as_it_is() -> None:
    """Joins, titles and formats have no part in a question, and are no mistakes."""
    (cube,) = read(
        """
        cubes:
          - name: orders
            sql_table: sales.orders
            title: Orders
            joins: [{name: users, relationship: many_to_one, sql: "{CUBE}.user_id = {users.id}"}]
            measures:
              - {name: count, type: count}
              - {name: revenue, type: sum, sql: "{CUBE}.amount", format: currency}
              - {name: buyers, type: count_distinct, sql: "{CUBE.user_id}"}
              - name: paid
                type: sum
                sql: amount
                filters: [{sql: "{CUBE}.state = 'P'"}]
            dimensions: [{name: id, sql: id, type: number, primary_key: true}]
        """
    ).cubes
    assert cube.table == "sales.orders"
    assert [metric.sql for metric in cube.metrics] == [
        "count(*)",
        "sum(amount)",
        "count(distinct user_id)",
        "sum(amount) filter (where state = 'P')",
    ]


def test_every_mistake_is_told_with_its_place_and_the_nearest_name() -> None:
    told = problems(
        """
        cubes:
          - name: orders
            mesures: []
            meta: {synonym: x}
            public: maybe
            measures: [{name: revenue, type: summ, sql: amount}, {type: sum}]
        """
    )
    assert "cube 'orders': 'mesures' is unknown; did you mean 'measures'?" in told
    assert "cube 'orders', meta: 'synonym' is unknown; did you mean 'synonyms'?" in told
    assert "cube 'orders', public: true or false" in told
    assert "measure 'revenue', type: 'summ' is unknown; did you mean 'sum'?" in told
    assert "cube 'orders', measure 2, name: it is missing" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cubes: &a [*a]", "aliases have no place in it"),
        ("a: &a [x]\nb: &b [*a, *a]\ncubes: [*b, *b]", "aliases have no place in it"),
        ("cubes: " + "[" * 500 + "]" * 500, "nested too deep"),
        ("cubes: !!python/object/apply:os.system ['id']", "tags have no place in it"),
        ("cubes: !!bool maybe", "tags have no place in it"),
        ("cubes: !!timestamp [x]", "tags have no place in it"),
        ("cubes: []\ncubes: []", "'cubes' is there twice"),
        ("cubes: [{name: a, name: b}]", "'name' is there twice"),
        ("? [a]\n: b", "a name must be a plain text"),
        ("cubes: {name: a}", "cubes: a list, and not names with values"),
        ("[]", "the document: names with values, and not a list"),
        ("cubes: [{name: [a]}]", "cube 1, name: a text, and not a list"),
        ("cubes: [", "line 1"),
        ("cubes: \0", "this is no YAML"),
        ("#" * (CHARACTERS_MAX + 1), "longer than"),
        ("cubes: [{name: " + "a" * 3000 + "}]", "at most 2,000 characters"),
    ],
)
def test_hostile_and_broken_texts_are_refused_with_the_reason(text: str, told: str) -> None:
    assert told in problems(text)


def test_a_code_is_what_is_written() -> None:
    """YAML 1.1 makes numbers, dates and truth of texts that look like them."""
    (cube,) = read(
        "cubes: [{name: a, dimensions: [{name: b, meta: {legend: "
        "{007: 1.50, 1.50: no, no: 010, 2024-01-31: 1e3, true: on}}}]}]"
    ).cubes
    assert cube.dimensions[0].legend == {
        "007": "1.50", "1.50": "no", "no": "010", "2024-01-31": "1e3", "true": "on"
    }  # fmt: skip


def test_an_empty_document_says_nothing() -> None:
    assert read("").cubes == read("cubes:").cubes == read("cubes: []").cubes == ()
