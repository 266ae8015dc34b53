"""Page images: when one is made, how, which are kept, and who is given one."""
