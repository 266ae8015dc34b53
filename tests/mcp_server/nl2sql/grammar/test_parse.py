"""What phrases mean together: the likeliest query of a question, without a database."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcp_server.nl2sql.grammar.cover import covers
from mcp_server.nl2sql.grammar.parse import analyse
from mcp_server.nl2sql.grammar.symbols import symbols
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Kind
from mcp_server.nl2sql.sql.compile import compile_query
from mcp_server.nl2sql.sql.joined import NoJoinError
from mcp_server.nl2sql.words.tokens import tokenize
from tests.examples import examples
from tests.mcp_server.nl2sql.profiles import library, profile, table


def likeliest(text: str, linker: Linker, graph: JoinGraph) -> str:
    tokens = linker.prepare(tokenize(text))
    meant = next(iter(analyse(tokens, linker, graph)))
    return compile_query(meant.query, graph).sql(dialect="postgres")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the titles of books", "SELECT title FROM book"),
        ("how many members are there", "SELECT COUNT(*) FROM member"),
        ("the average and highest price of books", "SELECT AVG(price), MAX(price) FROM book"),
        ("members older than 30", "SELECT name FROM member WHERE age > 30"),
        ("titles of books with 100 to 200 pages",
         "SELECT title FROM book WHERE pages BETWEEN 100 AND 200"),
        ("books with price below 10 or above 90",
         "SELECT title FROM book WHERE (price < 10 OR price > 90)"),
        ("members who are not in Oslo",
         "SELECT t1.name FROM member AS t1 INNER JOIN branch AS t2 ON t1.branch_id = t2.branch_id"
         " WHERE t2.city <> 'Oslo'"),
        ("female members", "SELECT name FROM member WHERE sex = 'F'"),
        ("members without a loan",
         "SELECT name FROM member WHERE NOT member_id IN (SELECT member_id FROM loan WHERE NOT"
         " member_id IS NULL)"),
        ("for each city, how many branches are there",
         "SELECT city, COUNT(*) FROM branch GROUP BY city"),
        ("the city with the most branches",
         "SELECT city FROM branch GROUP BY city ORDER BY COUNT(*) DESC NULLS LAST "
         "FETCH FIRST 1 ROWS WITH TIES"),
        ("the 3 most expensive books",
         "SELECT title FROM book ORDER BY price DESC NULLS LAST LIMIT 3"),
        ("the oldest member of each branch",
         "SELECT name, member_name FROM (SELECT t1.name AS name, t2.name AS member_name, RANK()"
         " OVER (PARTITION BY t1.branch_id ORDER BY t2.age DESC NULLS LAST) AS place FROM branch"
         " AS t1 INNER JOIN member AS t2 ON t2.branch_id = t1.branch_id) AS ranked WHERE place <= 1"
         ),
        ("books that cost more than the average price",
         "SELECT title FROM book WHERE price > (SELECT AVG(price) FROM book)"),
        ("the percentage of members who are older than 40",
         "SELECT 100.0 * COUNT(*) FILTER(WHERE age > 40) / NULLIF(COUNT(*), 0) FROM member"),
        ("the difference between the highest and the lowest price of books",
         "SELECT MAX(price) - MIN(price) FROM book"),
        ("members in the same branch as Ann",
         "SELECT name FROM member WHERE branch_id IN (SELECT branch_id FROM member WHERE name ="
         " 'Ann') AND name <> 'Ann'"),
        ("cities that have a branch opened after 2000 and a branch opened before 1990",
         "SELECT city FROM branch WHERE opened > 2000 INTERSECT SELECT city FROM branch WHERE"
         " opened < 1990"),
        ("cities with a branch opened in both 1990 and 2000",
         "SELECT city FROM branch WHERE opened = 1990 INTERSECT SELECT city FROM branch WHERE"
         " opened = 2000"),
        ("cities that do not have a branch opened after 2000",
         "SELECT city FROM branch EXCEPT SELECT city FROM branch WHERE opened > 2000"),
        ("members who are not 20 years old", "SELECT name FROM member WHERE age <> 20"),
        ("the lowest price of the books with more than 90 pages",
         "SELECT MIN(price) FROM book WHERE pages > 90"),
        ("how many branches have at least 3 members",
         "SELECT COUNT(*) FROM branch WHERE branch_id IN (SELECT t1.branch_id FROM branch AS t1"
         " INNER JOIN member AS t2 ON t2.branch_id = t1.branch_id GROUP BY t1.branch_id HAVING"
         " COUNT(*) >= 3)"),
        ("titles of books sorted by price in descending order",
         "SELECT title FROM book ORDER BY price DESC NULLS LAST"),
        ("member 5", "SELECT * FROM member WHERE member_id = 5"),
    ],
)  # fmt: skip
def test_a_question_is_read_as_the_query_that_it_asks_for(
    linker: Linker, graph: JoinGraph, text: str, expected: str
) -> None:
    assert likeliest(text, linker, graph) == expected


def test_what_was_not_understood_is_told(linker: Linker, graph: JoinGraph) -> None:
    meant = next(iter(analyse(tokenize("members who juggle"), linker, graph)))

    assert meant.unused == ("juggle",)
    assert meant.understood < 1


def test_names_and_numbers_that_play_no_part_are_counted(linker: Linker, graph: JoinGraph) -> None:
    def lost(text: str) -> int:
        return next(iter(analyse(tokenize(text), linker, graph))).values_lost

    assert lost("members in Atlantis") == 1
    assert lost("members in Oslo") == 0


def test_the_cheapest_cover_comes_first_and_covers_differ(linker: Linker) -> None:
    row = symbols(tokenize("the names of members older than 30 in Oslo"), linker)

    found = covers(row)

    assert [cover.cost for cover in found] == sorted(cover.cost for cover in found)
    assert len({cover.nodes for cover in found}) == len(found) > 1


WORDS = st.sampled_from(
    [
        *("the", "of", "and", "or", "not", "each", "most", "average", "how many", "same", "both"),
        *("members", "book", "loan", "branch", "city", "age", "price", "Oslo", "Ann", "Winter"),
        *("3", "2010", "twice", "older than", "more than", "least", "sorted by", "for", "with"),
        *("whose", "in", "between", "without", "percentage of", "difference", "top", "'x'", ","),
    ]
)


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(WORDS, max_size=14))
@example(["Oslo", "of", "or", "Oslo", "the", "Oslo", "members"])  # alternatives behind an `or`
def test_any_row_of_words_is_read_without_a_fault(words: list[str]) -> None:
    known = library()
    linker, graph = Linker(known), JoinGraph(known)

    for meant in analyse(linker.prepare(tokenize(" ".join(words))), linker, graph):
        try:
            compile_query(meant.query, graph)
        except NoJoinError:
            continue


def test_a_key_that_is_called_as_the_rows_are_is_compared_with_no_number() -> None:
    known = profile(
        table("boat", 9, boat_id=Kind.NUMBER, title=["Ran"], builder=Kind.NUMBER),
        table("builder", 3, builder_id=Kind.NUMBER, name=["Moe"]),
        boat__builder=("builder", "builder_id"),
    )

    said = likeliest("builders with more than 3 boats", Linker(known), JoinGraph(known))
    assert "builder > 3" not in said
    assert "COUNT(*) > 3" in said
