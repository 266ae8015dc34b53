"""What of a query PostgreSQL says, and how it is read: the guard, the reader, the catalog."""
