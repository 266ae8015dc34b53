"""A session between a client and its server: greeted, then bytes both ways on one thread."""
