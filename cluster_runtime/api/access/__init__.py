"""Who may ask: signatures, and the keys that they are made with."""
