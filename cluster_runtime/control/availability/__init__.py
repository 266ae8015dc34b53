"""Which instance does what: placement, health, succession, routing. Rules without I/O."""
