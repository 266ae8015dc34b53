"""What a cluster and its servers tell of themselves, without being woken for it."""
