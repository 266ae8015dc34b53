"""`borealis demo`: the main job, end to end, as a user would do it.

`script` is what happens, `shop` the data, `agent` the program that remembers.
"""

DSN_VARIABLE = "BOREALIS_DSN"
"""The environment variable that carries a connection string to an agent's process."""
