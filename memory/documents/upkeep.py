"""Making a table of documents, and keeping it: its index, its vectors, its metadata."""

from collections.abc import Awaitable, Mapping

from memory.database.driver import Driver
from memory.documents.plans import DocumentPlans

REINDEX_DEADLINE_SECONDS = 3600.0
REEMBED_BATCH = 200


class Upkeep:
    """What is done to a whole table; a part of `BorealisVectorStore`."""

    _driver: Driver
    _plans: DocumentPlans

    def setup(
        self,
        *,
        dims: int | None = None,
        vector_type: str | None = None,
        id_type: str = "text",
        metadata_types: Mapping[str, str] | None = None,
        ann: bool | None = None,
    ) -> Awaitable[None]:
        """Create the table if there is none; safe from many processes at once.

        dims: length of the vectors, where not that of what the embeddings make. vector_type:
            "vector" (the default) or "halfvec". id_type: "text" or "uuid" (PGVectorStore's).
        metadata_types: types of the metadata columns, by default text; "varchar(20)",
            "numeric(10,2)" and "text[]" are types too.
        ann: whether there is to be an HNSW index; by default a new table gets one.

        Raises ConfigurationError where a table is there that is not so: see `reindex`. The work is
        done when it returns; `await store.setup()` is fine too.
        """
        return self._driver.run_or_start(
            self._plans.setup(dims, vector_type, id_type, metadata_types or {}, ann)
        )

    async def asetup(
        self,
        *,
        dims: int | None = None,
        vector_type: str | None = None,
        id_type: str = "text",
        metadata_types: Mapping[str, str] | None = None,
        ann: bool | None = None,
    ) -> None:
        """`setup`, asynchronously."""
        await self._driver.arun(
            self._plans.setup(dims, vector_type, id_type, metadata_types or {}, ann)
        )

    def reindex(self, *, ann: bool = True, deadline: float = REINDEX_DEADLINE_SECONDS) -> None:
        """Make the HNSW index again for this store's distance, while the table is in use.

        ann: False only drops it. deadline: seconds. Other stores see it within a minute.
        """
        self._driver.run(self._plans.reindex(ann, deadline))

    async def areindex(
        self, *, ann: bool = True, deadline: float = REINDEX_DEADLINE_SECONDS
    ) -> None:
        """`reindex`, asynchronously."""
        await self._driver.arun(self._plans.reindex(ann, deadline))

    def reembed(self, *, batch: int = REEMBED_BATCH) -> int:
        """Embed every document again with this store's embeddings; how many there were.

        In batches, each a transaction of its own, while the table is in use: for another model of
        as many dimensions.
        """
        return self._driver.run(self._plans.reembed(batch))

    async def areembed(self, *, batch: int = REEMBED_BATCH) -> int:
        """`reembed`, asynchronously."""
        return await self._driver.arun(self._plans.reembed(batch))

    def heal(self) -> int:
        """Rewrite metadata with NUL characters or half surrogate pairs; how many rows had some.

        They come back as they were. Filters and deletions do it by themselves when they meet one.
        """
        return self._driver.run(self._plans.heal())

    async def aheal(self) -> int:
        """`heal`, asynchronously."""
        return await self._driver.arun(self._plans.heal())
