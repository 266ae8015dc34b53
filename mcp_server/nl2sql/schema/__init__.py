"""The database as a translator knows it: tables, columns, keys, samples, names to show."""
