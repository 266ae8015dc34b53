"""Branches of a cluster, restores from its volume, rewinds: all of them are cuts of a volume."""
