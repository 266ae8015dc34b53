"""What a row of symbols is written in: their kinds, and the phrases of English that make them."""
