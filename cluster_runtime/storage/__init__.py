"""The volume: six segments in three availability zones, quorum, log, pages."""
