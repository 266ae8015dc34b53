"""What a language model is told and asked, and what becomes of its answers."""
