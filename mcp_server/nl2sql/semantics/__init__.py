"""What a user says of a database: metrics, synonyms, codes, default filters, what is shown."""
