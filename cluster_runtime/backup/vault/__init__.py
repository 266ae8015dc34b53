"""Objects of a backup: encrypted, checksummed, in a local directory or a bucket."""
