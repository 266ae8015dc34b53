"""Which index a slow statement lacks: candidates from its text, built and timed on a branch."""
