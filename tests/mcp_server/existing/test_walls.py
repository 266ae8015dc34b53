"""What keeps a database safe that is not ours: hostile SQL changes nothing, whoever reads."""

import pytest

from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.reader import Reader
from mcp_server.nl2sql.errors import RefusedError
from tests.mcp_server.existing.conftest import GUARD_TESTS, PlainServer


def lines_of(name: str) -> list[str]:
    return (GUARD_TESTS / name).read_text(encoding="utf-8").splitlines()[1:]


HOSTILE, LEGITIMATE = lines_of("hostile.sql"), lines_of("legitimate.sql")[::4]
OWN = [sql for sql in HOSTILE if "trap." not in sql and "app." not in sql]
"""Those that need nothing but PostgreSQL."""
READS = [
    "select c.name, sum(o.id) from customers c, sales.orders o where customer_id = c.id group by 1",
    "with recursive n (i) as (select 1 union all select i + 1 from n where i < 5) select * from n",
    "select name, row_number() over (order by balance desc) from customers",
    "select * from big_spenders where name like 'A%'",
    "select state, placed::date from sales.orders where id in (select max(id) from sales.orders)",
    "table customers",
    "values (1, 'a'), (2, 'b')",
    "show work_mem",
    "select jsonb_build_object('a', 1) -> 'a', to_char(now(), 'YYYY'), '{1,2}'::int[]",
    "explain (costs off) select * from customers",
    "select relname from pg_catalog.pg_class where relkind = 'r' limit 3",
]


def passed(dsn: str, statements: list[str]) -> tuple[list[str], dict[str, str]]:
    found, refused = [], {}
    reader = Reader(dsn, limits=Limits(timeout=60))
    for sql in statements:
        try:
            reader.query(sql)
            found.append(sql)
        except RefusedError as error:
            refused[sql] = str(error)
    return found, refused


@pytest.mark.parametrize("user", ["clerk", "postgres"])
def test_hostile_queries_are_refused_to_a_plain_user_and_to_a_superuser(
    plain: PlainServer, trapped: str, user: str
) -> None:
    ran, _ = passed(plain.dsn(user, trapped), HOSTILE)
    assert ran == []
    with plain.connect(dbname=trapped) as owner:
        counter = owner.execute("select last_value, is_called from trap.counter").fetchone()
        assert counter == (1, False)
        assert owner.execute("select count(*) from trap.log").fetchone() == (0,)
        locks = owner.execute("select count(*) from pg_locks where locktype = 'advisory'")
        assert locks.fetchone() == (0,)


@pytest.mark.parametrize("user", ["clerk", "postgres"])
def test_what_only_reads_passes(plain: PlainServer, trapped: str, user: str) -> None:
    _, refused = passed(plain.dsn(user, trapped), LEGITIMATE)
    assert refused == {}


@pytest.mark.parametrize("user", ["clerk", "postgres"])
def test_an_older_server_is_read_behind_the_same_guard(plain: PlainServer, user: str) -> None:
    ran, _ = passed(plain.dsn(user), OWN)
    assert ran == []
    assert len(OWN) > 30
    _, refused = passed(plain.dsn(user), READS)
    assert refused == {}
