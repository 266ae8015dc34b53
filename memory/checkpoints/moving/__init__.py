"""Threads that leave a database: to another one, to a file, and back."""
