"""Schemas: objects by catalog and DDL text, and what differs between two."""
