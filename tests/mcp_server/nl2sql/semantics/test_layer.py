"""What a user says of a database is used in its questions, kept in it, and can do nothing else."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from mcp_server.nl2sql import SemanticLayer, Translator
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.database.steps import Fetch, Steps, run
from mcp_server.nl2sql.errors import NL2SQLError, SemanticsError
from mcp_server.nl2sql.model.language_model import Message
from mcp_server.nl2sql.semantics import keeping
from tests.mcp_server.nl2sql.conftest import filled

MARKET = """
create table stall (stall_id int primary key, label text not null, hall text not null,
  active boolean not null);
create table goods (sku text primary key, title text not null, kind char(1) not null);
create table sale (sale_id int primary key, stall_id int not null references stall,
  sku text not null references goods, sold_on date not null, qty int not null,
  unit_price numeric(8,2) not null, voided boolean not null default false);
create table import_log (id int primary key, note text);
insert into stall values (1, 'North 1', 'north', true), (2, 'North 2', 'north', false),
  (3, 'South 1', 'south', true);
insert into goods values ('A', 'apples', 'F'), ('B', 'bread', 'B'), ('C', 'cherries', 'F');
insert into sale values
  (1, 1, 'A', '2024-01-05', 10, 2.00, false), (2, 1, 'B', '2024-01-09', 1, 5.00, false),
  (3, 2, 'A', '2024-02-01', 4, 2.50, false), (4, 2, 'C', '2024-02-02', 2, 8.00, true),
  (5, 3, 'C', '2024-02-20', 3, 8.00, false), (6, 3, 'B', '2024-03-01', 2, 4.50, false);
insert into import_log values (1, 'x');
analyze;
"""
SAID = """
# what the traders say
cubes:
  - name: sale
    meta: {synonyms: [deal], default_filter: not voided}
    measures:
      - {name: revenue, type: number, sql: sum(qty * unit_price), meta: {synonyms: [turnover]}}
      - {name: pieces, type: sum, sql: qty}
  - name: goods
    meta: {synonyms: [product], display: [sku]}
    dimensions:
      - {name: kind, sql: kind, meta: {legend: {F: fruit, B: bakery}}}
  - name: stall
    meta: {synonyms: [booth, point of sale]}
  - name: import_log
    public: false
"""

KEPT_WITH = """
select c.relacl::text, obj_description(c.oid, 'pg_class') from pg_class c
where c.oid = to_regclass('borealis_nl2sql.semantics')
"""


@pytest.fixture(scope="module")
def market(module_dsn: str) -> str:
    SemanticLayer(filled(module_dsn, MARKET)).set(SAID)
    return module_dsn


@pytest.fixture
def own_market(fresh_dsn: str) -> str:
    return filled(fresh_dsn, MARKET)


def rows(dsn: str, question: str) -> list[tuple[Any, ...]]:
    answer = Asker(dsn).ask(question)
    assert answer.sql is not None, answer.reason
    return [tuple(row) for row in answer.rows]


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("What is the revenue?", [(68,)]),
        ("What is the total turnover?", [(68,)]),
        ("turnover by hall", [("north", 35), ("south", 33)]),
        ("revenue of stalls in the south hall", [(33,)]),
        ("Which stall has the highest revenue?", [("South 1",)]),
        ("Which stalls have a revenue above 20?", [("North 1",), ("South 1",)]),
        ("How many deals are there?", [(5,)]),
        ("How many deals are voided?", [(1,)]),
        ("List all booths.", [("North 1",), ("North 2",), ("South 1",)]),
        ("How many points of sale are active?", [(2,)]),
        ("How many fruit products are there?", [(2,)]),
        ("List all products.", [("A",), ("B",), ("C",)]),
    ],
)
def test_metrics_synonyms_codes_filters_and_display_columns_are_used(
    market: str, question: str, found: list[tuple[Any, ...]]
) -> None:
    answer = sorted(rows(market, question))
    assert [row[: len(found[0])] for row in answer] == found


def test_what_was_taken_for_what_is_said(market: str) -> None:
    answer = Asker(market).ask("How many booths are there?")
    assert "'booths' is read as 'stalls'" in answer.assumptions


def test_a_hidden_table_is_not_asked(market: str) -> None:
    assert Asker(market).ask("How many import logs are there?").sql is None


def test_a_metric_is_not_taken_over_rows_that_a_join_repeats(own_market: str) -> None:
    SemanticLayer(own_market).set(
        "cubes: [{name: stall, measures: [{name: booths, type: count, sql: stall_id}]}]"
    )
    answer = Asker(own_market).ask("What are the booths of sales in 2024?")
    assert "COUNT" not in str(answer.sql)


class Listens:
    """A model that writes nothing and keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def complete(self, messages: list[Message], n: int, timeout: float) -> list[str]:
        self.heard.append("\n".join(message.content for message in messages))
        return ["CANNOT: not today"]


def test_a_model_is_told_of_it_and_not_of_hidden_tables(market: str) -> None:
    model = Listens()
    Asker(market, model=model).ask("What is the turnover of each booth?")
    heard = model.heard[0]
    assert "revenue, turnover = sum(qty * unit_price)" in heard
    assert "unless asked otherwise only rows where not voided" in heard
    assert "kind: F = fruit, B = bakery" in heard
    assert "also called booth, point of sale" in heard
    assert "import_log" not in heard
    assert heard.rindex("<schema>") < heard.index("turnover =") < heard.rindex("</schema>")


def test_it_is_kept_as_it_was_written_and_noticed_at_once(own_market: str) -> None:
    layer, translator = SemanticLayer(own_market), Translator(own_market)
    assert layer.show() == ""
    assert "qty" not in str(translator.translate("What is the turnover by hall?").sql)

    layer.set(SAID)
    assert layer.show() == SAID
    assert "qty" in str(translator.translate("What is the turnover by hall?").sql)

    layer.remove()
    assert layer.show() == ""
    assert "qty" not in str(translator.translate("What is the turnover by hall?").sql)


def test_a_mistake_loses_nothing(own_market: str) -> None:
    layer = SemanticLayer(own_market)
    layer.set(SAID)
    with pytest.raises(SemanticsError) as caught:
        layer.set(
            """
            cubes:
              - {name: sales}
              - name: sale
                meta: {default_filter: not viod, synonyms: [goods]}
                measures: [{name: revenue, sql: sum(qty * unitprice)}, {name: qty, sql: sum(qty)}]
              - name: stall
                meta: {display: [lable], synonyms: [booth]}
                dimensions: [{name: hal}, {name: hall, meta: {synonyms: [booth]}}]
            """
        )
    assert caught.value.problems == (
        "cube 'sales': no table 'sales'; did you mean 'sale'?",
        "cube 'sale', measure 'revenue': sale has no column 'unitprice'; "
        "did you mean 'unit_price'?",
        "cube 'sale', measure 'qty': sale has a column of that name, or two measures have it",
        "cube 'sale', default_filter: sale has no column 'viod'; did you mean 'voided'?",
        "cube 'stall', display: stall has no column 'lable'; did you mean 'label'?",
        "cube 'stall', dimension 'hal': stall has no column 'hal'; did you mean 'hall'?",
        "cube 'sale', 'sale', synonym 'goods': it is the name of the table goods",
        "cube 'stall', 'hall', synonym 'booth': 'stall' of cube 'stall' has it too",
    )
    assert layer.show() == SAID


def test_what_names_nothing_any_more_is_left_out_and_the_rest_stays(own_market: str) -> None:
    SemanticLayer(own_market).set(SAID)
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute("alter table sale drop column voided")
        conn.execute("drop table import_log")
    assert rows(own_market, "What is the turnover?") == [(84,)]


@pytest.mark.parametrize(
    "sql",
    [
        "sum(pg_sleep(10))",
        "sum(qty) + (select count(*) from stall)",
        "sum(qty) from sale; drop table sale; --",
        "sum(lo_unlink(qty))",
        "sum(qty), pg_read_file('/etc/passwd')",
        "sum(query_to_xml('drop table sale', true, true, '')::text::int)",
        "sum(dblink_exec('x'))",
        "sum(qty) over ()",
        "sum(nextval('s'))",
        "set_config('role', 'postgres', false)",
        "sum(qty::regclass::int)",
        "sum(generate_series(1, 1000000000))",
        "sum(stall.qty)",
        "sum(pg_catalog.pg_authid.oid)",
        "string_agg(current_user, '')",
        "qty",
        "sum(sum(qty))",
        "sum(qty) + unit_price",
        "sum(qty) filter (where exists (select from stall))",
        "1",
        "",
        "sum(*)",
        "sum(" * 150 + "qty" + ")" * 150,
        "sum(qty) into outfile",
        "sum(qty) -- \n; select 1",
    ],
)
def test_an_expression_reads_columns_of_its_table_and_does_nothing_else(
    own_market: str, sql: str
) -> None:
    layer = SemanticLayer(own_market)
    with pytest.raises(SemanticsError):
        layer.set(_with("measures", [{"name": "m", "type": "number", "sql": sql}]))
    with pytest.raises(SemanticsError):
        layer.set(_with("meta", {"default_filter": sql.replace("sum", "") or "sum(qty) > 1"}))
    assert layer.show() == ""


def _with(key: str, value: object) -> str:
    return json.dumps({"cubes": [{"name": "sale", key: value}]})


def test_expressions_that_read_are_taken(own_market: str) -> None:
    SemanticLayer(own_market).set(
        """
        cubes:
          - name: sale
            meta: {default_filter: "(not voided or qty > 100) and sold_on > date '2020-01-01'"}
            measures:
              - {name: basket, sql: "round(sum(qty * unit_price) / nullif(count(*), 0), 2)"}
              - {name: big_share, sql: "100.0 * count(*) filter (where qty >= 4) / count(*)"}
              - {name: middle, sql: "percentile_cont(0.5) within group (order by qty)"}
              - {name: skus, type: count_distinct, sql: sku}
              - {name: bands, sql: "sum(case when qty > 3 then 1 else 0 end)"}
              - {name: late, sql: "max(extract(month from sold_on))"}
        """
    )
    assert rows(own_market, "what is the basket?") == [(13.6,)]
    assert rows(own_market, "what are the skus?") == [(3,)]


def test_a_document_that_somebody_put_there_can_do_nothing(own_market: str) -> None:
    """Whoever may write the table writes what they like into it, and a view in its place runs."""
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute("create schema borealis_nl2sql")
        conn.execute("create table borealis_nl2sql.semantics (document text)")
        conn.execute(
            "insert into borealis_nl2sql.semantics values (%s)",
            [_with("measures", [{"name": "revenue", "sql": "sum(pg_sleep(60))"}])],
        )
    assert rows(own_market, "How many sales are there?") == [(6,)]
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute("drop table borealis_nl2sql.semantics")
        conn.execute("create table touched (x int)")
        conn.execute(
            "create function borealis_nl2sql.f() returns text language sql volatile as "
            "'insert into touched values (1) returning ''cubes: []'''"
        )
        conn.execute(
            "create view borealis_nl2sql.semantics as select borealis_nl2sql.f() as document"
        )
    assert rows(own_market, "How many sales are there?") == [(6,)]
    with psycopg.connect(own_market) as conn:
        assert conn.execute("select count(*) from touched").fetchone() == (0,)


def test_a_suggestion_can_be_set_as_it_is(own_market: str) -> None:
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute("comment on column goods.kind is 'F = fruit, B = bakery'")
    layer = SemanticLayer(own_market)
    layer.teach(
        "How many bulk pieces were sold?", "select sum(qty) filter (where qty > 3) from sale"
    )
    document = layer.suggest()
    for said in ("sum(qty * unit_price)", "not voided", "fruit", "public: false", "name: bulk"):
        assert said in document
    layer.set(document)
    assert layer.show() == document
    assert rows(own_market, "What is the revenue?") == [(68,)]


def test_a_suggestion_writes_names_as_sql_does(own_market: str) -> None:
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute(
            """create table stock (stock_id int primary key, "order" char(1), "My State" char(1));
            insert into stock
              select n, chr(65 + n % 2), chr(65 + n % 3) from generate_series(1, 9) n;
            comment on column stock."order" is 'A = ascending, B = backwards';
            comment on column stock."My State" is 'A = active, B = broken, C = closed'"""
        )
    layer = SemanticLayer(own_market)
    document = layer.suggest()
    assert "backwards" in document
    assert "broken" in document
    layer.set(document)
    assert rows(own_market, "How many stock are broken?") == [(3,)]


def test_a_follow_up_meets_the_default_filter_too(market: str) -> None:
    stalls = "How many stalls are there?", "select count(*) from stall"
    answer = Asker(market).ask("and with sales?", context=[stalls])
    assert answer.follows
    assert "NOT voided" in (answer.sql or "")


@pytest.mark.parametrize(
    ("joined", "found"),
    [
        ("stall as t1 left join sale as t2 on t1.stall_id = t2.stall_id", [(0,), (1,), (2,), (2,)]),
        ("sale as t2 right join stall as t1 using (stall_id)", [(0,), (1,), (2,), (2,)]),
        ("stall as t1 full join sale as t2 on t1.stall_id = t2.stall_id", [(0,), (1,), (2,), (2,)]),
        ("stall as t1 join sale as t2 on t1.stall_id = t2.stall_id", [(1,), (2,), (2,)]),
    ],
)
def test_a_default_filter_leaves_rows_that_have_none_of_its_table(
    own_market: str, joined: str, found: list[tuple[int]]
) -> None:
    SemanticLayer(filled(own_market, "insert into stall values (4, 'Closed', 'west', true)")).set(
        SAID
    )
    sql = f"select t1.label, count(t2.sale_id) from {joined} group by t1.label"
    answer = Asker(own_market).ask("sort that by label", context=[("sales by stall", sql)])
    assert answer.follows
    assert sorted(row[1:] for row in answer.rows) == found


def test_mistakes_of_names_and_of_types_are_told_together(market: str) -> None:
    with pytest.raises(SemanticsError) as caught:
        SemanticLayer(market).check(
            "cubes: [{name: sale, meta: {default_filter: qty}}, {name: stal}]"
        )
    assert [each.split(",")[0] for each in caught.value.problems] == [
        "cube 'sale'",
        "cube 'stal': no table 'stal'; did you mean 'stall'?",
    ]


def test_what_is_in_the_place_of_the_document_is_named(own_market: str) -> None:
    layer = SemanticLayer(filled(
        own_market,
        "create schema borealis_nl2sql;"
        "create view borealis_nl2sql.semantics as select '' document",
    ))  # fmt: skip
    for attempt in (lambda: layer.set(SAID), layer.remove):
        with pytest.raises(NL2SQLError, match="is no table of this library's"):
            attempt()


def test_what_was_taught_is_shown_answers_and_is_taken_back(own_market: str) -> None:
    layer = SemanticLayer(own_market)
    question, sql = "How lively is the north hall?", "select count(*) from stall where hall='north'"
    layer.teach(question, sql)
    assert [text for text, _ in layer.taught()] == ["How lively is the {1} hall?"]
    assert Asker(own_market).ask("How lively is the south hall?").rows == ((1,),)

    assert layer.forget(layer.taught()[0][0])
    assert not layer.forget(question)
    assert layer.taught() == []
    assert Asker(own_market).ask(question).origin != "solved"


TRAP = """
create role {role};
grant {role} to current_user;
grant create on database {database} to {role};
create table caught (who text); grant insert on caught to {role};
set role {role};
create schema borealis_nl2sql;
create table borealis_nl2sql.solved (id text primary key, question text, sql text, grams int[],
    accepted int default 1, accepted_at timestamptz default now());
create function borealis_nl2sql.snap() returns trigger language plpgsql as
    $$begin insert into public.caught values (current_user); return new; end$$;
create trigger snap before insert or delete on borealis_nl2sql.solved for each statement
    execute function borealis_nl2sql.snap();
grant usage on schema borealis_nl2sql to public;
grant all on borealis_nl2sql.solved to public;
reset role;
"""


def test_what_another_role_prepared_runs_nothing_as_the_one_who_teaches(own_market: str) -> None:
    role = f"trapper_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(own_market, autocommit=True) as conn:
        database = conn.info.dbname
        for statement in TRAP.format(role=role, database=database).split(";\n"):
            if statement.strip():
                conn.execute(statement)
    layer = SemanticLayer(own_market)
    for attempt in (lambda: layer.teach("how many stalls", "select count(*) from stall"),
                    lambda: layer.forget("how many stalls")):  # fmt: skip
        with pytest.raises(NL2SQLError, match="another role's"):
            attempt()
    assert layer.taught() == []
    with psycopg.connect(own_market, autocommit=True) as conn:
        assert conn.execute("select * from caught").fetchall() == []
        conn.execute(f"drop owned by {role}")
        conn.execute(f"drop role {role}")


def swapping(steps: Steps[Any], swap: Callable[[], None]) -> Steps[Any]:
    """The same steps, with something done once the table was made."""
    request = next(steps)
    while True:
        if isinstance(request, Fetch) and request.query.startswith("comment on"):
            swap()
        try:
            answer = yield request
        except psycopg.Error as error:
            request = steps.throw(error)
        else:
            try:
                request = steps.send(answer)
            except StopIteration:
                return


def test_a_schema_that_is_renamed_meanwhile_runs_nothing_as_the_one_who_sets(
    own_market: str,
) -> None:
    role = f"trapper_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(own_market, autocommit=True) as conn:
        trap = TRAP.replace("solved (id", "semantics (document text, id").replace(
            "solved", "semantics"
        )
        for statement in trap.format(role=role, database=conn.info.dbname).split(";\n"):
            if statement.strip():
                conn.execute(statement)
        conn.execute(f"set role {role}; alter schema borealis_nl2sql rename to waiting")
        conn.execute("create schema borealis_nl2sql; grant all on schema borealis_nl2sql to public")

        def swap() -> None:
            conn.execute(
                "alter schema borealis_nl2sql rename to away; "
                "alter schema waiting rename to borealis_nl2sql"
            )

        with psycopg.connect(own_market, autocommit=True) as writing:
            run(writing, swapping(keeping.keep(SAID), swap))
        conn.execute("reset role")
        assert conn.execute("select * from caught").fetchall() == []
        conn.execute(f"drop owned by {role} cascade; drop role {role}")


def test_what_was_granted_on_it_and_said_of_it_stays_with_a_new_document(own_market: str) -> None:
    layer, role = SemanticLayer(own_market), f"reader 100%_{uuid.uuid4().hex[:8]}"
    layer.set(SAID)
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute(f'create role "{role}" login')
        conn.execute(f'grant select on borealis_nl2sql.semantics to "{role}" with grant option')
        conn.execute("grant select on borealis_nl2sql.semantics to public")
        conn.execute("comment on table borealis_nl2sql.semantics is '50% ours, it''s said'")
        had = conn.execute(KEPT_WITH).fetchall()
        layer.set(SAID)
        assert conn.execute(KEPT_WITH).fetchall() == had
        conn.execute(f'grant "{role}" to current_user')
        conn.execute(f'drop owned by "{role}"')
        conn.execute(f'drop role "{role}"')


def test_a_suggestion_leaves_out_a_taught_query_that_is_nested_too_deeply(own_market: str) -> None:
    SemanticLayer(own_market).teach("what is the haul", "select sum(qty * unit_price) from sale")
    deep = f"select sum(qty * {'(' * 400}unit_price{')' * 400}) from sale"
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute("update borealis_nl2sql.solved set sql = %s", [deep])
    assert "haul" not in SemanticLayer(own_market).suggest()


ELSEWHERE = """
create schema bazaar;
create table bazaar.tent (id int primary key, label text not null, gone boolean not null);
create table bazaar.secret (id int primary key, code text);
insert into bazaar.tent values (1, 'a', false), (2, 'b', true);
"""


def test_tables_of_the_search_path_are_meant_by_their_names_alone(fresh_dsn: str) -> None:
    """Seen: only names in `public` were taken for such."""
    filled(fresh_dsn, ELSEWHERE)
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(f'alter database "{conn.info.dbname}" set search_path = bazaar')
    SemanticLayer(fresh_dsn).set(
        "cubes: [{name: tent, meta: {default_filter: not gone}}, {name: secret, public: false}]"
    )
    assert "sql_table" not in SemanticLayer(fresh_dsn).suggest()
    first = ("How many tents are there?", "select count(*) from tent")
    answer = Asker(fresh_dsn).ask("which ones?", context=[first])
    assert answer.rows == (("a",),)

    model = Listens()
    Asker(fresh_dsn, model=model).ask("How many tents are there?")
    assert "tent" in "".join(model.heard)
    assert "secret" not in "".join(model.heard)


def test_a_role_that_may_not_see_the_schema_asks_all_the_same(own_market: str) -> None:
    SemanticLayer(own_market).set(SAID)
    SemanticLayer(own_market).teach("how many stalls are there", "select count(*) from stall")
    role = f"clerk_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(own_market, autocommit=True) as conn:
        conn.execute(f"create role {role} login")
        conn.execute(f"grant select on stall to {role}")
    try:
        assert rows(make_conninfo(own_market, user=role), "How many stalls are there?") == [(3,)]
    finally:
        with psycopg.connect(own_market, autocommit=True) as conn:
            conn.execute(f"grant {role} to current_user")
            conn.execute(f"drop owned by {role}")
            conn.execute(f"drop role {role}")
