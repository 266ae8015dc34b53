"""Restores from backups, snapshots, and what becomes of the backups of deleted clusters."""
