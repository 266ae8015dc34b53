"""What talks to PostgreSQL: connections, the generators of steps and their runners, the tables."""
