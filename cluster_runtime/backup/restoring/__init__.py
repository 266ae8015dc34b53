"""Data directories made from a backup."""
