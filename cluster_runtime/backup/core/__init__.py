"""What is decided about backups: no file, bucket, clock or thread."""
