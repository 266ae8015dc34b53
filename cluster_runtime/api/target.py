"""How requests to the service `borealis` are called. Imports nothing: a command line needs it."""

SERVICE = "borealis"
TARGET = "Borealis"
PROTOCOL = 2
"""Of what attached programs and hosts say to each other. One more with a change that an older
release would not understand; an operation or a field that is added changes nothing."""
PROTOCOL_HEADER = "borealis-protocol"
"""The protocol that a program speaks; one that says none takes what it gets."""
