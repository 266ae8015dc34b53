"""Continuous backup of clusters to an object store, snapshots, and restores from it.

`core` decides, `vault` keeps objects (sealed, in a bucket), `keeping` uploads what an open volume
has and removes what nobody can ask for any more, `restoring` makes a data directory of it again.
"""
