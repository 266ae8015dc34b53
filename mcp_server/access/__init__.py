"""Who may use a server over HTTP: a bearer token in a file, or OAuth 2.1."""
