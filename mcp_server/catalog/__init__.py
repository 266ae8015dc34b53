"""What is in a database, from pg_catalog: found by words, and described in few of them."""
