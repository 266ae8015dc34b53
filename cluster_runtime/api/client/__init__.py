"""Clients of an endpoint: `RdsControlPlane`, and the thin one that a command line needs.

This package loads nothing by itself: `host.HostClient` must be quick to import.
"""
