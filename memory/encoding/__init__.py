"""Values as bytes and ids as text: no connection, no statement."""
