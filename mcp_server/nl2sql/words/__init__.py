"""Words of English: tokens, the lexicon, dates, places, near spellings. No database."""

LEXICON_VARIABLE = "BOREALIS_LEXICON"
"""The environment variable that names users' files of the lexicon; see `files`."""
