"""How requests to the service `borealis` are called. Imports nothing: a command line needs it."""

SERVICE = "borealis"
TARGET = "Borealis"
GENERATE_DSN = "GenerateDSN"
"""A libpq URI with a token: what `Cluster.dsn` makes, where the keys are."""
