"""Metrics of running instances: measured, kept, told."""
