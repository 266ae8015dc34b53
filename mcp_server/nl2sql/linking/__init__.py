"""Words of a question matched to tables, columns and values of the database."""
