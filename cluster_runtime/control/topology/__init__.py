"""What each instance of a cluster tells its clients of the cluster."""
