"""What destroys something, and the confirmations that it waits for."""
