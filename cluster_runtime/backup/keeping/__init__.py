"""The continuous backup of open volumes."""
