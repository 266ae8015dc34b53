"""langchain-tests' VectorStoreIntegrationTests, and PGVectorStore's own tables."""

from collections.abc import Iterator

import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests.vectorstores import VectorStoreIntegrationTests

from memory import BorealisVectorStore


class TestStandard(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, fresh_dsn: str) -> Iterator[VectorStore]:
        store = BorealisVectorStore(fresh_dsn, self.get_embeddings(), deadline=15)
        store.setup(dims=6)
        yield store
        store.close()


def test_a_table_of_pgvectorstore_opens_unchanged(fresh_dsn: str) -> None:
    from langchain_postgres import PGEngine, PGVectorStore
    from langchain_postgres.v2.engine import Column
    from psycopg.conninfo import conninfo_to_dict

    from memory import HashEmbeddings

    parts = conninfo_to_dict(fresh_dsn)
    url = f"postgresql+psycopg://{parts['user']}@/{parts['dbname']}"
    url += f"?host={parts['host']}&port={parts.get('port', 5432)}"
    if parts.get("password"):
        url += f"&password={parts['password']}"
    engine = PGEngine.from_connection_string(url)
    engine.init_vectorstore_table("theirs", 384, metadata_columns=[Column("year", "integer")])
    theirs = PGVectorStore.create_sync(
        engine, HashEmbeddings(), "theirs", metadata_columns=["year"]
    )
    theirs.add_documents(
        [
            Document("a red boat", metadata={"year": 1999, "tag": "sea"}),
            Document("a green hill", metadata={"year": 2005, "tag": "land"}),
        ]
    )
    ours = BorealisVectorStore(fresh_dsn, table_name="theirs", metadata_columns=["year"])

    assert [d.page_content for d in ours.similarity_search("boats", k=1)] == ["a red boat"]
    found = ours.similarity_search("boats", k=5, filter={"year": {"$gte": 2000}, "tag": "land"})
    assert [(d.page_content, d.metadata) for d in found] == [
        ("a green hill", {"year": 2005, "tag": "land"})
    ]
    ours.add_documents([Document("a blue boat", metadata={"year": 2020, "tag": "sea"})])
    blue = theirs.similarity_search("blue boat", k=1)[0]
    assert (blue.page_content, blue.metadata) == ("a blue boat", {"year": 2020, "tag": "sea"})
    ours.close()
    engine._run_as_sync(engine._pool.dispose())
