"""What happens to the instances of a cluster: made, changed, deleted, failed over; their logs."""
