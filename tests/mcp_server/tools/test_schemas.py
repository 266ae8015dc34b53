"""What the schema tools show of a database."""

from typing import Any


async def test_schemas_are_listed_with_their_tables_and_extensions(tools: Any, shop: Any) -> None:
    answer = await tools("list_schemas", cluster="shop")
    schemas = {one["name"]: one for one in answer["schemas"]}
    assert set(schemas) == {"public", "sales"}
    assert (schemas["public"]["tables"], schemas["public"]["views"]) == (1, 1)
    assert schemas["sales"]["size_bytes"] > 0
    assert answer["database"] in answer["databases"]
    assert [name.split()[0] for name in answer["extensions"]] == ["vector"]


async def test_a_table_is_described_with_columns_comments_keys_and_counts(
    tools: Any, shop: Any
) -> None:
    answer = await tools("describe_tables", cluster="shop", tables=["customers"])
    (table,) = answer["tables"]
    assert (table["schema_name"], table["kind"]) == ("public", "table")
    assert table["comment"] == "people who buy"
    assert table["estimated_rows"] == 3
    assert table["primary_key"] == ["id"]
    columns = {column["name"]: column for column in table["columns"]}
    assert list(columns) == ["id", "name", "email", "balance"]
    assert columns["id"]["default"] == "generated as identity"
    assert columns["balance"] == {
        "name": "balance",
        "type": "numeric(12,2)",
        "nullable": False,
        "default": "0",
        "comment": "euros we owe them",
        "values": None,
    }
    assert sorted(table["constraints"]) == ["CHECK ((balance >= (0)::numeric))", "UNIQUE (email)"]


async def test_references_enum_labels_and_indexes_are_shown(tools: Any, shop: Any) -> None:
    answer = await tools("describe_tables", cluster="shop", schema="sales")
    (orders,) = answer["tables"]
    assert orders["foreign_keys"] == [
        {
            "columns": ["customer_id"],
            "references": "public.customers",
            "referenced_columns": ["id"],
        }
    ]
    state = next(column for column in orders["columns"] if column["name"] == "state")
    assert state["values"] == ["new", "paid", "sent"]
    assert [index.split(" USING ")[1] for index in orders["indexes"]] == ["btree (placed)"]


async def test_more_tables_than_the_limit_are_announced(tools: Any, shop: Any) -> None:
    some = await tools("describe_tables", cluster="shop", limit=1)
    assert [table["name"] for table in some["tables"]] == ["big_spenders"]
    assert some["truncated"] is True
    everything = await tools("describe_tables", cluster="shop")
    assert len(everything["tables"]) == 3
    assert everything["truncated"] is False


async def test_a_missing_table_is_named_with_its_nearest(tools: Any, shop: Any) -> None:
    refusal = await tools.fails("describe_tables", cluster="shop", tables=["customer"])
    assert "'customer'" in refusal
    assert "customers" in refusal.replace("'customer'", "")


async def test_a_missing_database_is_named(tools: Any, shop: Any) -> None:
    refusal = await tools.fails("list_schemas", cluster="shop", database="nowhere")
    assert "nowhere" in refusal
    assert "list_schemas" in refusal
