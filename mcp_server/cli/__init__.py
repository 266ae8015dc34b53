"""The command line, `borealis`: its commands, what it prints, its shell and its demo."""
