"""Words of general English that may stand for each other, whatever the database is about."""

from mcp_server.nl2sql.words.files import lexicon

RELATED: tuple[frozenset[str], ...] = tuple(lexicon().related)
"""Words that may stand for each other, but mostly do not: a name that fits better goes before."""
