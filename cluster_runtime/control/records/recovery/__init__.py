"""Backups, snapshots, restore points and rewinds, as they are told and kept."""
