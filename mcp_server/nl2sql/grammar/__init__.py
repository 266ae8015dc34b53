"""A third reading of a question: all phrases that fit compete, and the best cover of it wins."""
