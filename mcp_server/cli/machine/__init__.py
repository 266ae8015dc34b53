"""Commands about this machine and this user: doctor, config."""
