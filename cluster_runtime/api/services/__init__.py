"""The services that requests are signed for, each with its operations."""
