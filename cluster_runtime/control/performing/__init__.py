"""The operations of the control service, by what they are about."""
