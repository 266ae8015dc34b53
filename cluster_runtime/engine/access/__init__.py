"""Roles and rights in a server, and the session that keeps them so."""
