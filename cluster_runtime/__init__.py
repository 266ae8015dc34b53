"""Real PostgreSQL clusters, Aurora-style, hosted in one Python process."""
