"""Rows: which tables, by which key, in which buckets; and what differs between two."""
