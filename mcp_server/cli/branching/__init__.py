"""The commands `branch`: clones of a cluster to try things on."""
