"""Asking in English runs nothing past the guard, and the chosen query once."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.database import steps
from mcp_server.nl2sql.database.steps import Prepare, Stream
from mcp_server.nl2sql.schema.profile import profile
from tests.mcp_server.nl2sql.conftest import filled

TRAP = """
create sequence reached;
create table sailor (id int primary key, name text, age int);
insert into sailor values (1, 'Ada', 30), (2, 'Bob', 40);
create function touch() returns int language plpgsql volatile security definer as
  $$ begin perform pg_advisory_lock(4711); return 1; end $$;
create view harbour as select touch() as id, 'Genoa'::text as name, 3 as berths;
create view quay as select (1::bigint).pg_try_advisory_lock, 'west'::text as name;
analyze;
"""


@pytest.fixture(scope="module")
def trap(module_dsn: str) -> str:
    return filled(module_dsn, TRAP)


def locks(conn: psycopg.Connection[Any]) -> int:
    return int(
        conn.execute(
            "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
        ).fetchone()[0]  # type: ignore[index]
    )


def test_learning_a_database_does_not_run_what_its_views_call(trap: str) -> None:
    with psycopg.connect(trap, autocommit=True) as conn:
        found = profile(conn)
        assert locks(conn) == 0
    names = {table.name: table for table in found.tables}
    assert names["sailor"].column("name").values == {"ada": "Ada", "bob": "Bob"}
    assert names["harbour"].column("name").values == {}
    assert names["quay"].column("name").values == {}


@pytest.mark.parametrize("question", ["how many harbours are there", "list the name of each quay"])
def test_trying_a_reading_does_not_either(
    trap: str, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Asker(trap).ask(question)
    assert answer.sql is None
    with psycopg.connect(trap) as conn:
        held = conn.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
    assert held == (0,)


def test_the_chosen_query_runs_once_beside_its_probe(
    trap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker = Asker(trap)
    asker.ask("how many sailors are there")  # learns the database
    asked: list[object] = []
    answer_of = steps._answer

    def noted(conn: Any, request: Any, trees: Any) -> Any:
        asked.append((conn, request))
        return answer_of(conn, request, trees)

    monkeypatch.setattr(steps, "_answer", noted)
    answer = asker.ask("what are the names of sailors older than 35")
    assert answer.rows == (("Bob",),)
    with asker.translator._lender.lend() as loan:  # type: ignore[attr-defined]
        probing = loan.conn
    chosen = [request for conn, request in asked if conn is not probing]
    assert len([each for each in chosen if isinstance(each, Stream)]) == 1
    assert [each.query for each in chosen if isinstance(each, Prepare)] == [answer.sql]
    assert answer.result is not None
    assert answer.result.texts == [["Bob"]]
    assert "result" not in answer.to_dict()
