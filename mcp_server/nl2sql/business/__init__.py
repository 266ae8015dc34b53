"""Questions as people in business ask them, in words that the grammar reads: text in, text out."""
