"""What keeps a volume well while it is open: repair, scrub, replacement, coalescing."""
