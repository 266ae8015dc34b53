"""What decides: rules of the log, its copies and its members; no file, clock, socket or thread."""
