"""Keys that only tell rows apart are shown by names, unless they are asked for."""

import pytest
import sqlglot
from sqlglot import exp

from mcp_server.nl2sql.choosing.named_keys import with_names
from mcp_server.nl2sql.schema.model import Column, ForeignKey, Kind, Profile, Table
from mcp_server.nl2sql.words.tokens import identifier_words, tokenize


def _table(name: str, *columns: tuple[str, Kind]) -> Table:
    table = Table("public", name, words=identifier_words(name))
    table.columns = [
        Column(table, each, "text", kind, words=identifier_words(each)) for each, kind in columns
    ]
    return table


PERSON = _table("person", ("person_id", Kind.NUMBER), ("full_name", Kind.TEXT))
BOAT = _table(
    "boat", ("boat_id", Kind.NUMBER), ("title", Kind.TEXT), ("painter_id", Kind.NUMBER),
    ("home", Kind.TEXT),
)  # fmt: skip
PORT = _table("port", ("home", Kind.TEXT), ("port_name", Kind.TEXT))
KNOWN = Profile(
    [PERSON, BOAT, PORT],
    [
        ForeignKey(BOAT.columns[2], PERSON.columns[0]),
        ForeignKey(BOAT.columns[3], PORT.columns[0]),
    ],
)
NAMED = "INNER JOIN person AS t2 ON t1.painter_id = t2.person_id"


@pytest.mark.parametrize(
    ("question", "sql", "expected"),
    [
        (
            "who is the painter of the Gull",
            "SELECT painter_id FROM boat WHERE title = 'Gull'",
            f"SELECT t2.full_name FROM boat AS t1 {NAMED} WHERE t1.title = 'Gull'",
        ),
        (
            "number of boats per painter",
            "SELECT painter_id, COUNT(*) FROM boat GROUP BY painter_id ORDER BY painter_id",
            f"SELECT t2.full_name, COUNT(*) FROM boat AS t1 {NAMED} "
            "GROUP BY t2.person_id, t2.full_name ORDER BY t2.person_id",
        ),
        (
            "boats with their painters",  # a boat without one is a boat all the same
            "SELECT title, painter_id FROM boat",
            "SELECT t1.title, t2.full_name FROM boat AS t1 "
            "LEFT JOIN person AS t2 ON t1.painter_id = t2.person_id",
        ),
        (
            "painters of boats",  # where the table is joined by that key, it is not joined again
            f"SELECT t1.painter_id FROM boat AS t1 {NAMED}",
            f"SELECT t2.full_name FROM boat AS t1 {NAMED}",
        ),
    ],
)
def test_names_stand_in_the_place_of_keys(question: str, sql: str, expected: str) -> None:
    assert _named(question, sql) == expected


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("painter ids of the boats", "SELECT painter_id FROM boat"),
        ("the painter numbers of the boats", "SELECT painter_id FROM boat"),
        ("homes of the boats", "SELECT home FROM boat"),  # a text that says what it is
        ("how many painters", "SELECT COUNT(DISTINCT painter_id) FROM boat"),
        ("boats", "SELECT boat_id FROM boat"),
    ],
)
def test_what_is_asked_for_stays(question: str, sql: str) -> None:
    assert _named(question, sql) == sql


def _named(question: str, sql: str) -> str:
    tree = sqlglot.parse_one(sql, dialect="postgres")
    assert isinstance(tree, exp.Query)
    return with_names(tree, tokenize(question), KNOWN).sql(dialect="postgres")
