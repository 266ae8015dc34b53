"""Commands around questions: what was asked last, and what words mean."""
