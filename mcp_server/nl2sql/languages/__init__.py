"""Questions in other languages, turned into English in the words of the schema. No database."""
