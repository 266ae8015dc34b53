"""Words of English: tokens, the lexicon, dates, places, near spellings. No database."""
