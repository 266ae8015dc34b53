"""Questions that say how rows stand to other rows: over several tables, and over one of its own."""
