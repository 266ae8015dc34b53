"""What instances use and do: measured once a second, kept for a day, under CloudWatch's names."""
