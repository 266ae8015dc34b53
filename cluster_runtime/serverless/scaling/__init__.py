"""How much capacity a cluster has at each moment: rules, without clock, file or process."""
