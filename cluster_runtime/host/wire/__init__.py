"""What attached processes and hosts say to each other: signed JSON over a unix socket."""
