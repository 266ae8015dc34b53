"""Real PostgreSQL: binaries, template data directory, warm pool, postmaster, roles."""
