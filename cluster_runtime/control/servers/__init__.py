"""What serves a cluster: its volume, its PostgreSQLs, and the places where they are."""
