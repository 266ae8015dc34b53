"""The command `metrics`: what was measured of a cluster, as a table, drawn, or recorded."""
