"""What keeps: log, state and page images of a segment on a disk, and data directories."""
