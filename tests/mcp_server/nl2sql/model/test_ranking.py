"""Which columns a question is given when the schema is too large to show whole."""

import pytest

from mcp_server.nl2sql.model.facts import Facts, Place, Said, found_values
from mcp_server.nl2sql.model.prompt import PromptColumn, PromptKey, PromptSchema, PromptTable
from mcp_server.nl2sql.model.ranking import WHOLE_SCHEMA_COLUMNS, keep, prune, rank
from mcp_server.nl2sql.schema.model import Column, Kind, Table


def table(name: str, *columns: str, comment: str = "", **comments: str) -> PromptTable:
    """The first column is the primary key."""
    return PromptTable(
        name,
        tuple(
            PromptColumn(column, "text", primary_key=i == 0, comment=comments.get(column, ""))
            for i, column in enumerate(columns)
        ),
        comment,
    )


LIBRARY = PromptSchema(
    "library",
    (
        table("reader", "reader_id", "full_name", "birthdate", "telephone", "street", "homecity"),
        table("volume", "volume_id", "title", "pagecount", "langcode", "avgscr", "shelf"),
        table("loan", "loan_id", "reader_id", "volume_id", "takenon", "broughtback", "remark"),
        table("branch", "branch_id", "label", "manager", "postcode", "opened", "area"),
        table("event", "event_id", "branch_id", "topic", "happens", "seats", "fee"),
        table("repair", "repair_id", "volume_id", "binder", "expense", "started", "ended",
              binder="the workshop that glues the spine"),
    ),
    (
        PromptKey("loan", ("reader_id",), "reader", ("reader_id",)),
        PromptKey("loan", ("volume_id",), "volume", ("volume_id",)),
        PromptKey("event", ("branch_id",), "branch", ("branch_id",)),
        PromptKey("repair", ("volume_id",), "volume", ("volume_id",)),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "needed"),
    [
        ("list the titles of all volumes", {"volume.title"}),
        ("how many pages does it have", {"volume.pagecount"}),
        ("what is the average score per language", {"volume.avgscr", "volume.langcode"}),
        ("who was born first", {"reader.full_name", "reader.birthdate"}),
        ("in which city do the readers live", {"reader.homecity"}),
        ("phone numbers of readers who brought a volume back late", {
            "reader.telephone", "loan.broughtback", "loan.reader_id", "reader.reader_id"}),
        ("which workshop glued the most spines", {"repair.binder"}),
        ("topics of events and the label of their branch", {
            "event.topic", "branch.label", "event.branch_id", "branch.branch_id"}),
        ("rows where takenOn is not null", {"loan.takenon"}),
    ],
)  # fmt: skip
def test_a_third_of_the_columns_holds_what_the_question_needs(
    question: str, needed: set[str]
) -> None:
    kept = keep(LIBRARY, rank(LIBRARY, question), 12)
    assert len(kept) <= 12
    assert needed <= {f"{table}.{column}" for table, column in kept}


def test_evidence_counts_like_the_question() -> None:
    plain = rank(LIBRARY, "which ones are expensive")
    hinted = rank(LIBRARY, "which ones are expensive", "expensive means expense > 100")
    assert hinted["repair", "expense"] > plain["repair", "expense"]
    assert max(hinted, key=lambda at: hinted[at]) == ("repair", "expense")


def test_identifiers_that_tables_share_by_name_are_kept_though_no_key_is_declared() -> None:
    undeclared = PromptSchema("x", LIBRARY.tables)
    kept = keep(undeclared, rank(undeclared, "binder of each volume by title"), 10)
    assert {("repair", "volume_id"), ("volume", "volume_id")} <= kept


def test_a_small_schema_is_shown_whole_and_a_large_one_within_its_bound() -> None:
    assert prune(LIBRARY, "anything") is LIBRARY
    small = prune(LIBRARY, "title of the volumes that readers took", most=10)
    assert sum(len(t.columns) for t in small.tables) <= 10
    names = {(t.name, c.name) for t in small.tables for c in t.columns}
    assert {("volume", "title"), ("loan", "volume_id"), ("volume", "volume_id")} <= names
    for key in small.keys:
        assert {(key.table, c) for c in key.columns} <= names
        assert {(key.target, c) for c in key.target_columns} <= names


def test_a_thousand_tables_are_ranked() -> None:
    wide = PromptSchema("w", tuple(table(f"part{i}", "id", "alpha", "beta") for i in range(1000)))
    small = prune(wide, "the beta of part 77")
    assert sum(len(t.columns) for t in small.tables) <= 150


def warehouse() -> PromptSchema:
    """300 tables of twelve columns: of sites, and of what is measured there; most have a name."""
    usual = ("created_at", "updated_at", "name", "status", "kind", "code", "remark", "owner_id")
    tables = [
        table(f"{part}_{number:02}", f"{part}_{number:02}_id", *usual, "city", "amount", "level")
        for part in ("stock", "route", "gauge", "batch", "audit", "quote")
        for number in range(49)
    ]
    client = table("client", "client_id", "full_name", "city", "street", "zip", "since", "rating",
                   "phone", "email", "notes", "group_id", "agent_id")  # fmt: skip
    order = table("client_order", "order_id", "client_id", "placed", "total", "city")
    line = table("order_line", "line_id", "order_id", "article_id", "quantity", "price")
    article = table("article", "article_id", "title", "price", "city_of_origin")
    keys = (
        PromptKey("client_order", ("client_id",), "client", ("client_id",)),
        PromptKey("order_line", ("order_id",), "client_order", ("order_id",)),
        PromptKey("order_line", ("article_id",), "article", ("article_id",)),
    )
    return PromptSchema("warehouse", (*tables, client, order, line, article), keys)


def columns_of(schema: PromptSchema, name: str) -> list[str]:
    return [c.name for t in schema.tables if t.name == name for c in t.columns]


def test_of_300_tables_the_one_that_is_asked_for_is_shown_whole() -> None:
    schema = warehouse()
    shown = prune(schema, "how many clients are there in Oslo")
    assert columns_of(shown, "client") == columns_of(schema, "client")
    assert sum(len(t.columns) for t in shown.tables) <= WHOLE_SCHEMA_COLUMNS
    assert len(shown.tables) + len(shown.others) == len(schema.tables)


def test_the_tables_between_two_that_are_asked_for_are_shown_with_their_keys() -> None:
    shown = prune(warehouse(), "which clients bought the article with the title Lamp")
    assert "title" in columns_of(shown, "article")
    assert "full_name" in columns_of(shown, "client")
    assert {"order_id", "article_id"} <= set(columns_of(shown, "order_line"))
    assert "client_id" in columns_of(shown, "client_order")
    assert len(shown.keys) == 3


def test_values_of_tables_that_are_not_shown_are_not_pointed_out() -> None:
    """At 300 tables twenty hints named other tables, and none the one that was asked for."""
    schema = warehouse()
    tables = {each.name: Table("public", each.name) for each in schema.tables}
    known: dict[Place, Column] = {}
    said = []
    for each in schema.tables:
        for one in each.columns:
            place = (None, each.name, one.name)
            known[place] = Column(tables[each.name], one.name, "text", Kind.TEXT)
            if one.name == "city":
                said.append(Said("Oslo", place, "Oslo"))
    question = "how many clients are there in Oslo"
    shown = prune(schema, question)
    found = found_values(shown, Facts(known, tuple(said)), question)
    assert found[0].table == "client"
    assert {value.table for value in found} <= {each.name for each in shown.tables}


def test_of_a_very_wide_table_the_likely_columns_are_shown() -> None:
    wide = PromptSchema(
        "w", (table("reading", "id", *(f"x{number}" for number in range(400)), "pressure"),)
    )
    shown = columns_of(prune(wide, "highest pressure of a reading"), "reading")
    assert {"id", "pressure"} <= set(shown)
    assert len(shown) <= WHOLE_SCHEMA_COLUMNS


def test_an_empty_schema_is_no_error() -> None:
    assert prune(PromptSchema("none", ()), "anything", most=0).tables == ()
