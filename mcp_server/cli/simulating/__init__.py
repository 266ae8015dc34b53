"""`borealis simulate`: what scaling would do with a load."""
