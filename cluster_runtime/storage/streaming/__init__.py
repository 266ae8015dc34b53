"""What speaks the streaming replication protocol of PostgreSQL, as client and as server."""
