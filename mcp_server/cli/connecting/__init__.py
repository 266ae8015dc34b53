"""Commands that lead into a cluster: url, psql, exec."""
