"""SQL: made from a logical plan, and read back as plain English."""
