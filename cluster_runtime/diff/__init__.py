"""What tells two databases apart: their schemas, object by object, and their rows."""
