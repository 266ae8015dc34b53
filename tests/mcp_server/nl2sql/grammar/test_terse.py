"""Questions as people type them: few words, first and last names, who reports to whom, by month."""

import pytest
from sqlglot import exp

from mcp_server.nl2sql.grammar.parse import Meant, analyse
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Kind
from mcp_server.nl2sql.sql.compile import compile_query
from mcp_server.nl2sql.words.tokens import tokenize
from tests.mcp_server.nl2sql.profiles import company, profile, table

COMPANY = company()
LINKER, GRAPH = Linker(COMPANY), JoinGraph(COMPANY)


def likeliest(text: str) -> Meant:
    return next(iter(analyse(LINKER.prepare(tokenize(text)), LINKER, GRAPH)))


def query(text: str) -> str:
    return compile_query(likeliest(text).query, GRAPH).sql(dialect="postgres")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("names of workers", "SELECT first_name, last_name FROM worker"),
        (
            "average salary by department",
            "SELECT t1.name, AVG(t2.salary) FROM department AS t1 INNER JOIN worker AS t2 ON "
            "t2.department_id = t1.department_id GROUP BY t1.department_id, t1.name",
        ),
        (
            "total hours by task",
            "SELECT t1.title, SUM(t2.hours) FROM task AS t1 INNER JOIN shift AS t2 ON t2.task_id "
            "= t1.task_id GROUP BY t1.task_id, t1.title",
        ),
        (
            "workers hired per year",
            "SELECT EXTRACT(year FROM hired) AS year, COUNT(*) FROM worker GROUP BY EXTRACT(year "
            "FROM hired) ORDER BY EXTRACT(year FROM hired)",
        ),
        (
            "how many workers were hired each month",
            "SELECT CAST(DATE_TRUNC('MONTH', hired) AS DATE) AS month, COUNT(*) FROM worker GROUP"
            " BY CAST(DATE_TRUNC('MONTH', hired) AS DATE) ORDER BY CAST(DATE_TRUNC('MONTH', "
            "hired) AS DATE)",
        ),
        (
            "average salary by hired year",
            "SELECT EXTRACT(year FROM hired) AS year, AVG(salary) FROM worker GROUP BY "
            "EXTRACT(year FROM hired) ORDER BY EXTRACT(year FROM hired)",
        ),
        (
            "the manager of Ada Byron",
            "SELECT first_name, last_name FROM worker WHERE worker_id IN (SELECT manager_id FROM "
            "worker WHERE first_name = 'Ada' AND last_name = 'Byron')",
        ),
        (
            "workers whose manager is Ada Byron",
            "SELECT first_name, last_name FROM worker WHERE manager_id IN (SELECT worker_id FROM "
            "worker WHERE first_name = 'Ada' AND last_name = 'Byron')",
        ),
        (
            "who reports to Alan Kay",
            "SELECT first_name, last_name FROM worker WHERE manager_id IN (SELECT worker_id FROM "
            "worker WHERE first_name = 'Alan' AND last_name = 'Kay')",
        ),
        (
            "workers who earn more than their manager",
            "SELECT first_name, last_name FROM worker WHERE worker.salary > (SELECT other.salary "
            "FROM worker AS other WHERE other.worker_id = worker.manager_id)",
        ),
        (
            "workers and their departments",
            "SELECT t1.first_name, t1.last_name, t2.name FROM worker AS t1 INNER JOIN department "
            "AS t2 ON t1.department_id = t2.department_id",
        ),
        (
            "the highest paid worker",
            "SELECT first_name, last_name FROM worker ORDER BY salary DESC NULLS LAST "
            "FETCH FIRST 1 ROWS WITH TIES",
        ),
        (
            "the 5 most recently hired workers",
            "SELECT first_name, last_name FROM worker ORDER BY hired DESC NULLS LAST LIMIT 5",
        ),
        (
            "top 3 departments by number of workers",
            "SELECT t1.name FROM department AS t1 INNER JOIN worker AS t2 ON t2.department_id = "
            "t1.department_id GROUP BY t1.department_id, t1.name ORDER BY COUNT(*) DESC NULLS "
            "LAST LIMIT 3",
        ),
        ("inactive workers", "SELECT first_name, last_name FROM worker WHERE active = FALSE"),
        (
            "active workers in Oslo",
            "SELECT t1.first_name, t1.last_name FROM worker AS t1 INNER JOIN department AS t2 ON "
            "t1.department_id = t2.department_id WHERE t1.active = TRUE AND t2.city = 'Oslo'",
        ),
        (
            "who works in Design",
            "SELECT t1.first_name, t1.last_name FROM worker AS t1 INNER JOIN department AS t2 ON "
            "t1.department_id = t2.department_id WHERE t2.name = 'Design'",
        ),
        (
            "department and worker id of the workers",
            "SELECT department_id, worker_id FROM worker",
        ),
        ("valid from and valid to of the tasks", "SELECT valid_from, valid_to FROM task"),
        ("what tasks are done", "SELECT title FROM task WHERE state = 'done'"),
        (
            "workers who earn more than Ada",
            "SELECT first_name, last_name FROM worker WHERE salary > (SELECT MAX(salary) FROM "
            "worker WHERE first_name = 'Ada')",
        ),
        (
            "share of active workers",
            "SELECT 100.0 * COUNT(*) FILTER(WHERE active = TRUE) / NULLIF(COUNT(*), 0) FROM worker",
        ),
        (
            "workers hired on or before 2020",
            "SELECT first_name, last_name FROM worker WHERE EXTRACT(year FROM hired) <= 2020",
        ),
    ],
)
def test_the_likeliest_query(text: str, expected: str) -> None:
    assert query(text) == expected


def test_an_age_is_counted_from_a_date_of_birth() -> None:
    known = profile(table("guest", 3, id=Kind.NUMBER, name=["Ann"], birth_date=Kind.DATE))
    linker, graph = Linker(known), JoinGraph(known)

    def likeliest_of(text: str) -> str:
        meant = next(iter(analyse(tokenize(text), linker, graph)))
        return compile_query(meant.query, graph).sql(dialect="postgres")

    assert likeliest_of("guests older than 40") == (
        "SELECT name FROM guest WHERE EXTRACT(year FROM AGE(birth_date)) > 40"
    )
    assert likeliest_of("the youngest guest") == (
        "SELECT name FROM guest ORDER BY birth_date DESC NULLS LAST FETCH FIRST 1 ROWS WITH TIES"
    )


def test_a_superlative_that_speaks_of_no_column_is_not_understood() -> None:
    assert likeliest("cheapest worker").unused == ("cheapest",)
    assert query("cheapest worker") == "SELECT first_name, last_name FROM worker"


def test_a_table_that_is_called_other_is_told_from_its_other_row() -> None:
    known = profile(
        table("other", 3, id=Kind.NUMBER, name=["Ann"], salary=Kind.NUMBER, manager_id=Kind.NUMBER),
        other__manager_id=("other", "id"),
    )
    linker, graph = Linker(known), JoinGraph(known)
    text = "others whose salary is higher than their manager's"
    meant = next(iter(analyse(linker.prepare(tokenize(text)), linker, graph)))

    assert compile_query(meant.query, graph).sql() == (
        "SELECT name FROM other WHERE other.salary > (SELECT other_other.salary FROM other AS"
        " other_other WHERE other_other.id = other.manager_id)"
    )


def test_rows_by_something_are_counted() -> None:
    assert query("tasks by state") == "SELECT state, COUNT(*) FROM task GROUP BY state"


def test_what_comes_first_at_the_end_sorts_all_rows() -> None:
    assert query("active workers, newest first") == (
        "SELECT first_name, last_name FROM worker WHERE active = TRUE"
        " ORDER BY hired DESC NULLS LAST"
    )
    assert query("workers per department").startswith("SELECT t1.name, COUNT(*) FROM department")


def test_rows_that_refer_to_none_and_values_with_underscores() -> None:
    assert query("workers without a department").endswith("WHERE department_id IS NULL")
    known = profile(table("job", 3, id=Kind.NUMBER, name=["a"], state=["in_progress", "done"]))
    meant = next(iter(analyse(tokenize("jobs in progress"), Linker(known), JoinGraph(known))))
    sql = compile_query(meant.query, JoinGraph(known)).sql()
    assert sql == "SELECT name FROM job WHERE state = 'in_progress'"


def test_the_row_with_a_number_is_shown_whole() -> None:
    assert query("show task 4") == "SELECT * FROM task WHERE task_id = 4"


def test_a_short_value_is_known_by_the_table_that_it_follows() -> None:
    known = profile(table("tag", 3, id=Kind.NUMBER, label=["ui", "bug"]))
    linker, graph = Linker(known), JoinGraph(known)
    meant = next(iter(analyse(tokenize("the tag ui"), linker, graph)))

    assert compile_query(meant.query, graph).sql() == "SELECT label FROM tag WHERE label = 'ui'"


def test_values_that_rows_share_are_grouped_by_themselves() -> None:
    assert query("the city with the most workers").endswith(
        "GROUP BY t1.city ORDER BY COUNT(*) DESC NULLS LAST FETCH FIRST 1 ROWS WITH TIES"
    )


def test_rows_are_shown_with_their_columns() -> None:
    assert query("departments and their cities") == "SELECT name, city FROM department"


def test_the_numbers_of_rows_are_not_averaged() -> None:
    assert query("average worker") == "SELECT AVG(salary) FROM worker"


def test_tables_are_joined_through_the_one_that_is_spoken_of() -> None:
    known = profile(
        table("client", 3, id=Kind.NUMBER, name=["Ann", "Ben"]),
        table("product", 3, id=Kind.NUMBER, name=["Lamp", "Desk"]),
        table("opinion", 3, id=Kind.NUMBER, client_id=Kind.NUMBER, product_id=Kind.NUMBER),
        table("orders", 3, id=Kind.NUMBER, client_id=Kind.NUMBER),
        table("line", 3, id=Kind.NUMBER, order_id=Kind.NUMBER, product_id=Kind.NUMBER),
        opinion__client_id=("client", "id"),
        opinion__product_id=("product", "id"),
        orders__client_id=("client", "id"),
        line__order_id=("orders", "id"),
        line__product_id=("product", "id"),
    )
    linker, graph = Linker(known), JoinGraph(known)
    meant = next(iter(analyse(tokenize("clients who ordered the Lamp"), linker, graph)))

    tables = {t.name for t in compile_query(meant.query, graph).find_all(exp.Table)}
    assert tables == {"client", "orders", "line", "product"}
