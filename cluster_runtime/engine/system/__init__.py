"""What the operating system holds of a server: files, locks, users, processes, shared memory."""
