"""The walls around a server: a user of its own, a Landlock domain, a filter of system calls."""
