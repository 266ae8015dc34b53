"""Which columns a question is given when the schema is too large to show whole."""

import pytest

from mcp_server.nl2sql.model.prompt import PromptColumn, PromptKey, PromptSchema, PromptTable
from mcp_server.nl2sql.model.ranking import keep, prune, rank


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


def test_an_empty_schema_is_no_error() -> None:
    assert prune(PromptSchema("none", ()), "anything", most=0).tables == ()
