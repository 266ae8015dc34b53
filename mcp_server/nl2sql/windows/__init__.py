"""Questions that compare rows with those before them: running totals, ranks, changes."""
