"""The guard: whether a query only reads, decided on what PostgreSQL resolved."""
