"""Capacity: measurement, scaling policy, auto-pause."""
