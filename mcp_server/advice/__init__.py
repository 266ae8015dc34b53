"""What ails a database and which SQL mends it; what a plan says of a query."""
