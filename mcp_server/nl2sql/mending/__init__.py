"""Queries of a language model put right by what is known of the database, without asking again."""
