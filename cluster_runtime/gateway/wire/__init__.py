"""The messages of PostgreSQL's protocol: told apart, read, made. Without a socket."""
