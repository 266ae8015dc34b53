"""From the writer's log to the disks of the segments, and back: what one commit passes through."""
